//! Errors that say which source and which operation.

use std::error::Error;
use std::{fmt, io};

use crate::backend::NOT_OPEN;
use crate::source::RawSource;

/// Which operation failed on which source, and the system's own error.
///
/// It comes inside an [`io::Error`]: `error.get_ref()` and `downcast_ref` reach
/// it, and [`os_error`] reads the system's number wherever it is.
#[derive(Debug)]
pub struct SourceError {
    operation: &'static str,
    source: RawSource,
    system: io::Error,
}

impl SourceError {
    /// The operation, by its name in this crate.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The source that it failed on.
    #[must_use]
    pub fn raw_source(&self) -> RawSource {
        self.source
    }

    /// The system's number for the error: `errno` on Unix and WASI,
    /// `WSAGetLastError` on Windows.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.system.raw_os_error()
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.operation, self.source, self.system)
    }
}

impl Error for SourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.system)
    }
}

/// The system's number for an error of this crate, whether the error names its
/// source or not.
#[must_use]
#[doc(alias = "errno")]
pub fn os_error(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<SourceError>())
            .and_then(SourceError::raw_os_error)
    })
}

/// The error for a source that is not open.
pub(crate) fn not_open(operation: &'static str, source: RawSource) -> io::Error {
    named(operation, source, io::Error::from_raw_os_error(NOT_OPEN))
}

/// `system`, named; its kind stays.
pub(crate) fn named(operation: &'static str, source: RawSource, system: io::Error) -> io::Error {
    io::Error::new(system.kind(), SourceError { operation, source, system })
}

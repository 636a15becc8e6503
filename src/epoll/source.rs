//! The emulated epoll is a source by itself.

use super::Epoll;
use crate::source::{AsSource, Source};

/// As what has a descriptor has it: by itself and by reference. (In an `Arc`:
/// `&**epoll`.)
macro_rules! as_source {
    ($($type:ty),*) => {$(
        impl AsSource for $type {
            fn as_source(&self) -> Source<'_> {
                self.0.as_source()
            }
        }
    )*};
}

as_source!(Epoll, &Epoll, &mut Epoll, Box<Epoll>);

//! kqueue's filters on what an operating system has: each filter's contract, and
//! the corner cases of kqueue(2) of FreeBSD. Sentences in quotes are its.

#![cfg(any(target_os = "linux", target_os = "android"))]

mod common;
mod descriptor;
mod process;
mod read;
mod signal;
mod standing;
mod threads;
mod vnode;
mod write;

//! Does what its arguments say, one after the other, and prints what it saw. The
//! tests beside it choose the arguments and play the host.

#[cfg(target_os = "wasi")]
mod commands;
#[cfg(target_os = "wasi")]
mod count;

#[cfg(target_os = "wasi")]
fn main() {
    let mut guest = commands::Guest::default();
    for command in std::env::args().skip(1) {
        guest.run(&command);
    }
}

#[cfg(not(target_os = "wasi"))]
fn main() {
    eprintln!("this program is for WASI");
    std::process::exit(2);
}

//! Says which of the interfaces are the kernel's own, and names the shared library.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(kernel_epoll, kernel_kqueue)");
    let setting = |name: &str| env::var(format!("CARGO_CFG_{name}")).unwrap_or_default();
    let os = setting("TARGET_OS");
    let bsd = ["macos", "ios", "freebsd", "netbsd", "openbsd", "dragonfly"];
    if ["linux", "android"].contains(&os.as_str()) {
        if setting("READINESS_BACKEND") != "poll" {
            println!("cargo:rustc-cfg=kernel_epoll");
        }
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libreadiness.so.0");
    } else if bsd.contains(&os.as_str()) && setting("READINESS_BACKEND") != "poll" {
        println!("cargo:rustc-cfg=kernel_kqueue");
    }
}

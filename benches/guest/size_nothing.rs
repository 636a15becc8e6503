//! A program that reads a line and answers, without waiting.

use std::io::{BufRead, Write};

fn main() -> std::io::Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    std::io::stdout().write_all(line.as_bytes())
}

//! What is being measured, on one line of the terminal that is written over again and again. Into a file nothing of it goes.

use std::io::IsTerminal;

/// Shows what is being done now.
pub fn show(doing: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{doing:<WIDTH$}");
    }
}

/// Leaves the line empty.
pub fn clear() {
    if std::io::stderr().is_terminal() {
        eprint!("\r{:<WIDTH$}\r", "");
    }
}

/// Columns of the line.
const WIDTH: usize = 72;

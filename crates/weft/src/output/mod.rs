//! What people and programs see: tables, colours, progress, JSON.

pub mod latency;
mod progress;
mod style;
mod table;

pub use progress::Progress;
use std::fmt::Arguments;
use std::io::{self, Write};
pub use style::Style;
pub use table::Table;

/// Prints a line to standard output.
macro_rules! say {
    () => { $crate::output::line(format_args!("")) };
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}
pub(crate) use say;

/// Prints a line. Whoever read standard output may have seen enough (`| head`): then there is nothing left to do.
pub fn line(text: Arguments<'_>) {
    if writeln!(io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

//! What people and programs see: tables, colours, progress, JSON.

mod progress;
mod style;
mod table;

pub use progress::Progress;
pub use style::Style;
pub use table::Table;

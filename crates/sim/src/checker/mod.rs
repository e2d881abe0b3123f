//! Those who know the truth: they watch from outside what clients ask and get, and say when it cannot be.

mod history;
mod volume;

pub use history::{Disorder, History, Why};
pub use volume::{Content, Shadow, Violation};

//! Those who know the truth: they watch from outside what clients ask and get, and say when it cannot be.

mod volume;

pub use volume::{Content, Shadow, Violation};

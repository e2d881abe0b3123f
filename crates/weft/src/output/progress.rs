//! A bar for work that takes long.

use super::Style;
use indicatif::{ProgressBar, ProgressStyle};

/// How far the work is, for a person who waits; nothing is shown to programs.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar for `bytes` of work.
    pub fn bytes(style: &Style, what: &'static str, bytes: u64) -> Self {
        let form = "{msg:>8} {bar:32} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
        Self::new(style, what, bytes, form)
    }

    /// A bar for work that takes `milliseconds`.
    pub fn time(style: &Style, what: &'static str, milliseconds: u64) -> Self {
        Self::new(style, what, milliseconds, "{msg:>8} {bar:32} {percent}%")
    }

    fn new(style: &Style, what: &'static str, length: u64, form: &str) -> Self {
        let bar = if style.progress { ProgressBar::new(length) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template(form).expect("a template of ours").progress_chars("█▌ "));
        bar.set_message(what);
        Self(bar)
    }

    /// So much is done.
    pub fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// All is done, or given up: the bar goes away.
    pub fn finish(self) {
        self.0.finish_and_clear();
    }
}

//! Colour, where it is wanted.

use crate::args::{Cli, When};
use std::io::IsTerminal;

/// How to show things.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// For programs.
    pub json: bool,
    /// Standard output takes colours.
    color: bool,
    /// Standard error is looked at by a person.
    pub progress: bool,
}

impl Style {
    /// As the command line and the terminal have it.
    pub fn of(cli: &Cli) -> Self {
        let wanted = |terminal: bool| match cli.color {
            When::Auto => terminal && std::env::var_os("NO_COLOR").is_none(),
            When::Always => true,
            When::Never => false,
        };
        Self {
            json: cli.json,
            color: wanted(std::io::stdout().is_terminal()),
            progress: !cli.json && cli.color != When::Never && std::io::stderr().is_terminal(),
        }
    }

    /// Stands out.
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Steps back.
    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Something to type or to copy.
    pub fn code(&self, text: &str) -> String {
        self.paint("36", text)
    }

    /// All is well.
    pub fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}

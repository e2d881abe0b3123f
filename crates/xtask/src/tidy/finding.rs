//! What a rule has to say: where, what is wrong there, and what to do about it.

use std::fmt;
use std::path::PathBuf;

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Error or warning.
    pub severity: Severity,
    /// The rule's name, as an allowance would spell it.
    pub rule: &'static str,
    /// The file, relative to the workspace.
    pub path: PathBuf,
    /// Counted from 1; 0 when the finding is about the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Worth a thought; the check passes.
    Warning,
    /// The check fails.
    Error,
}

impl Finding {
    /// A broken rule.
    pub fn error(
        rule: &'static str,
        path: impl Into<PathBuf>,
        line: usize,
        what: String,
        remedy: &str,
    ) -> Finding {
        Finding { severity: Severity::Error, rule, path: path.into(), line, what, remedy: remedy.into() }
    }

    /// The same finding as something to think about.
    pub fn into_warning(self) -> Finding {
        Finding { severity: Severity::Warning, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {severity} [{}]: {}\n    {}", self.rule, self.what, self.remedy)
    }
}

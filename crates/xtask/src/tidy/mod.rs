//! `cargo xtask tidy`: the rules of the house that neither rustc nor clippy knows.
//!
//! Each rule lives in a file of its own and is a function from text to findings, so that its tests plant a violation
//! and look for it. A rule that judges one line can be overruled where it stands, with a reason, by a comment on that
//! line or the one above:
//!
//! ```text
//! // tidy: allow(long-function) one arm per status of the standard, nothing else
//! ```

mod calls;
mod documents;
mod finding;
mod layers;
mod lengths;
mod lexer;
mod source;

use crate::workspace;
use anyhow::{Result, bail};
use finding::{Finding, Severity};
use source::Source;
use std::fs;
use std::path::Path;

/// Checks the workspace and prints what is wrong with it.
///
/// # Errors
/// When a rule is broken, or the workspace cannot be read.
pub fn run() -> Result<()> {
    let findings = check()?;
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = findings.len() - errors;
    if errors > 0 {
        bail!("tidy: {errors} to mend, {warnings} to think about");
    }
    println!("tidy: nothing to mend, {warnings} to think about");
    Ok(())
}

fn check() -> Result<Vec<Finding>> {
    let architecture = fs::read_to_string(workspace::root().join(layers::DOCUMENT))?;
    let packages = workspace::packages()?;
    let mut findings = layers::check(&architecture, &packages);
    for path in workspace::files()? {
        let Ok(text) = fs::read_to_string(workspace::root().join(&path)) else {
            continue; // not text
        };
        findings.extend(documents::machine_paths(&path, &text));
        if path.extension().is_some_and(|extension| extension == "rs") {
            let is_root = packages.iter().any(|package| package.roots.contains(&path));
            findings.extend(check_source(&path, &text, is_root));
        }
    }
    Ok(findings)
}

/// Every rule that looks at one Rust file.
fn check_source(path: &Path, text: &str, is_crate_root: bool) -> Vec<Finding> {
    let source = Source::new(path, text);
    let mut findings = documents::module_documentation(&source);
    if is_crate_root {
        findings.extend(calls::unsafe_forbidden(&source));
    }
    findings.extend(calls::unsafe_outside_memory(&source));
    findings.extend(calls::forbidden(&source));
    findings.extend(calls::unfinished(&source));
    findings.extend(lengths::file(&source));
    findings.extend(lengths::functions(&source));
    findings.retain(|finding| !source.allows(finding.line, finding.rule));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_reads_its_own_rules() {
        let source = Source::new(Path::new("crates/xtask/src/tidy/mod.rs"), include_str!("mod.rs"));
        assert_eq!(documents::module_documentation(&source), []);
    }

    #[test]
    fn a_reason_overrules_a_rule_and_a_bare_allowance_does_not() {
        let with = "//! Core.\n// tidy: allow(forbidden-call) the order is never observed\nuse std::collections::HashMap;\n";
        let without = "//! Core.\n// tidy: allow(forbidden-call)\nuse std::collections::HashMap;\n";
        let path = Path::new("crates/nvme/src/x.rs");
        assert_eq!(check_source(path, with, false), []);
        assert_eq!(check_source(path, without, false).len(), 1);
    }
}

//! What must be written, and what must not: a heading on every module, no path of somebody's machine.

use super::finding::Finding;
use super::source::Source;
use std::path::Path;

/// Where paths of one machine begin. Spelled in halves, so that this file passes its own check.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// A module opens with what it is.
pub fn module_documentation(source: &Source) -> Vec<Finding> {
    let mut lines = source.lines.iter().map(|line| line.trim());
    let first = lines.find(|line| !line.is_empty() && !line.starts_with("#![") && !line.starts_with("#!/"));
    if first.is_some_and(|line| line.starts_with("//!")) {
        return Vec::new();
    }
    let remedy =
        "begin it with `//!`: what it is, what it is not, its invariants, the sections of the standard";
    vec![Finding::error("module-docs", &source.path, 1, "the module does not say what it is".into(), remedy)]
}

/// A path that exists on one machine alone has no business in the repository.
pub fn machine_paths(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(prefix) = MACHINE_PATHS.iter().find(|prefix| is_absolute_in(line, prefix)) {
            let remedy = "take the path from the workspace, the environment or an option";
            let what = format!("a path of one machine: {prefix}...");
            findings.push(Finding::error("machine-path", path, index + 1, what, remedy));
        }
    }
    findings
}

/// `prefix` begins a path here, rather than standing inside a longer one or a URL.
fn is_absolute_in(line: &str, prefix: &str) -> bool {
    line.match_indices(prefix).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|character| !character.is_alphanumeric() && !"._-/~$}*".contains(character))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_must_open_with_its_documentation() {
        let found = |text| module_documentation(&Source::new(Path::new("crates/wire/src/a.rs"), text)).len();
        assert_eq!(found("#![forbid(unsafe_code)]\n\n//! What it is.\n"), 0);
        assert_eq!(found("use a::b;\n//! Too late.\n"), 1);
        assert_eq!(found("// Not documentation.\n"), 1);
        assert_eq!(found(""), 1);
    }

    #[test]
    fn only_whole_paths_of_a_machine_are_found() {
        let found = |text: &str| machine_paths(Path::new("README.md"), text).len();
        assert_eq!(found(concat!("cd /ho", "me/someone/weft\n")), 1);
        assert_eq!(found(concat!("x=\"/wo", "rk/x\"\n")), 1);
        assert_eq!(found(concat!("https://example.org/wo", "rk/x and target/wo", "rk/\n")), 0);
    }
}

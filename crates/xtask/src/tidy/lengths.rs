//! Length: a file is one idea, a function is a screen.
//!
//! Tests are not counted; they are long for good reasons.

use super::finding::Finding;
use super::lexer::find_word;
use super::source::Source;

const FILE_LINES_WARN: usize = 300;
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 80;

/// A file past `FILE_LINES_WARN` is worth a thought, past `FILE_LINES_MAX` it is two files.
pub fn file(source: &Source) -> Option<Finding> {
    let lines = source.shipped().count();
    if lines <= FILE_LINES_WARN {
        return None;
    }
    let what = format!("{lines} lines besides tests, of at most {FILE_LINES_MAX}");
    let finding =
        Finding::error("long-file", &source.path, 0, what, "make it a folder with one idea in each file");
    Some(if lines > FILE_LINES_MAX { finding } else { finding.into_warning() })
}

/// A function past `FUNCTION_LINES_MAX` lines cannot be read at a glance.
pub fn functions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.shipped() {
        let Some(name) = function_name(line) else { continue };
        let lines = source.end_of_item(number - 1) + 2 - number;
        if lines > FUNCTION_LINES_MAX {
            let what = format!("`{name}` is {lines} lines long, of at most {FUNCTION_LINES_MAX}");
            let remedy = "give its parts names of their own; the name says what the part is for";
            findings.push(Finding::error("long-function", &source.path, number, what, remedy));
        }
    }
    findings
}

/// The name of the function that is defined on this line; `None` for a mere type such as `fn(u8) -> u8`.
fn function_name(line: &str) -> Option<&str> {
    let after = line[find_word(line, "fn")? + 2..].trim_start();
    let name = after.split(|character| !super::lexer::is_word(character)).next()?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::Severity;
    use std::path::Path;

    fn source(text: &str) -> Source {
        Source::new(Path::new("crates/wire/src/pdu.rs"), text)
    }

    #[test]
    fn a_file_warns_then_fails() {
        assert_eq!(file(&source(&"//\n".repeat(300))), None);
        assert_eq!(file(&source(&"//\n".repeat(301))).unwrap().severity, Severity::Warning);
        assert_eq!(file(&source(&"//\n".repeat(501))).unwrap().severity, Severity::Error);
    }

    #[test]
    fn tests_do_not_count() {
        let text = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "// x\n".repeat(600));
        assert_eq!(file(&source(&text)), None);
    }

    #[test]
    fn a_long_function_is_found_by_its_name() {
        let body = "    a();\n".repeat(79);
        let findings = functions(&source(&format!("pub fn short() {{\n}}\npub fn long() {{\n{body}}}\n")));
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].line, findings[0].what.contains("`long` is 81 lines")), (3, true));
        assert_eq!(functions(&source("type F = fn(u8) -> u8;\n")), []);
    }

    #[test]
    fn a_declaration_without_a_body_is_one_line() {
        let text = format!("trait A {{\n    fn f(x: [u8; 4]);\n{}}}\n", "    const X: u8 = 1;\n".repeat(90));
        assert_eq!(functions(&source(&text)), []);
    }
}

//! A Rust file as the rules see it: its lines, its code without comments and literals, and which of it is tests.

use super::lexer::code_only;
use std::path::{Component, Path, PathBuf};

/// One Rust file.
pub struct Source {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// The lines as written.
    pub lines: Vec<String>,
    /// The same lines, holding code alone.
    pub code: Vec<String>,
    /// For each line, whether it belongs to tests.
    pub is_test: Vec<bool>,
}

impl Source {
    /// Takes a file apart.
    pub fn new(path: &Path, text: &str) -> Source {
        let code: Vec<String> = code_only(text).lines().map(str::to_owned).collect();
        let is_test = if is_test_file(path) { vec![true; code.len()] } else { test_lines(&code) };
        Source { path: path.into(), lines: text.lines().map(str::to_owned).collect(), code, is_test }
    }

    /// The room this file is part of, when it lies under `crates/`.
    pub fn room(&self) -> Option<&str> {
        let mut parts = self.path.components().filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        });
        (parts.next() == Some("crates")).then(|| parts.next()).flatten()
    }

    /// Lines of code that are not tests, numbered from 1.
    pub fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code.iter().zip(&self.is_test).enumerate();
        lines.filter(|(_, (_, is_test))| !**is_test).map(|(index, (line, _))| (index + 1, line.as_str()))
    }

    /// A comment on this line or the one above overrules `rule`, and says why.
    pub fn allows(&self, line: usize, rule: &str) -> bool {
        let here = [line.checked_sub(1), line.checked_sub(2)];
        let key = format!("// tidy: allow({rule})");
        here.into_iter()
            .flatten()
            .filter_map(|index| self.lines.get(index))
            .any(|text| text.split_once(&key).is_some_and(|(_, reason)| !reason.trim().is_empty()))
    }

    /// The index of the line where the block opened at or after `from` closes; an item that ends in `;` before any
    /// block opens ends there.
    pub fn end_of_item(&self, from: usize) -> usize {
        end_of_item(&self.code, from)
    }
}

/// A file none of whose code ships.
fn is_test_file(path: &Path) -> bool {
    let named = |name: &str| path.components().any(|part| part.as_os_str() == name);
    named("tests") || named("tests.rs") || named("benches") || named("examples") || named("fuzz")
}

fn test_lines(code: &[String]) -> Vec<bool> {
    let mut is_test = vec![false; code.len()];
    let mut index = 0;
    while index < code.len() {
        if code[index].trim_start().starts_with("#[cfg(test)]") {
            let end = end_of_item(code, index);
            is_test[index..=end].fill(true);
            index = end;
        }
        index += 1;
    }
    is_test
}

fn end_of_item(code: &[String], from: usize) -> usize {
    let (mut braces, mut others) = (0i32, 0i32);
    for (index, line) in code.iter().enumerate().skip(from) {
        for character in line.chars() {
            match character {
                '{' => braces += 1,
                '}' => braces -= 1,
                '(' | '[' => others += 1,
                ')' | ']' => others -= 1,
                ';' if braces == 0 && others == 0 => return index,
                _ => {}
            }
            if character == '}' && braces <= 0 && others == 0 {
                return index;
            }
        }
    }
    code.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(Path::new("crates/block/src/ram.rs"), text)
    }

    #[test]
    fn a_test_module_is_tests_and_what_follows_it_is_not() {
        let source = source("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { {} }\n}\nfn c() {}\n");
        assert_eq!(source.is_test, [false, true, true, true, true, false]);
        assert_eq!(source.shipped().map(|(line, _)| line).collect::<Vec<_>>(), [1, 6]);
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_one_line() {
        let source = source("#[cfg(test)]\nmod tests;\nfn c() {}\n");
        assert_eq!(source.is_test, [true, true, false]);
    }

    #[test]
    fn an_array_length_does_not_end_an_item() {
        let source = source("fn a(x: [u8; 4]) {\n}\nfn b() {}\n");
        assert_eq!(source.end_of_item(0), 1);
    }

    #[test]
    fn the_room_is_the_directory_under_crates() {
        assert_eq!(source("").room(), Some("block"));
        assert_eq!(Source::new(Path::new("fuzz/a.rs"), "").room(), None);
    }
}

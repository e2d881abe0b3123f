//! Layering: who may look into whom, as the table in ARCHITECTURE.md says it.
//!
//! The document is the rule. A room without a row, a row without a room and an import that no row grants are findings
//! alike, so the page cannot grow old. Tests of the core may besides import what implements `Env`, to have a world to run in; tests of other rooms may import
//! any room.

use super::calls::CORE;
use super::finding::Finding;
use crate::workspace::{Import, Package};
use std::collections::{BTreeMap, BTreeSet};

/// The page that holds the table.
pub const DOCUMENT: &str = "ARCHITECTURE.md";

/// Crates that bring JSON, protobuf, an async runtime or a command line, and so mark a room of the control plane.
const CONTROL_PLANE: [&str; 5] = ["serde_json", "prost", "tonic", "tokio", "clap"];

/// The rooms that may use them.
const CONTROL_ROOMS: [&str; 3] = ["control", "weft", "xtask"];

/// What is granted beyond that: tasks of tokio's may use sockets, where a feature asks for it.
const GRANTED: [(&str, &str); 1] = [("sockets", "tokio")];

/// The rooms that implement `Env`.
const WORLDS: [&str; 2] = ["reactor", "sim"];

/// A row of the table: its line, and what the room may import.
struct Row {
    line: usize,
    may_import: BTreeSet<String>,
}

/// Holds the packages against the table.
pub fn check(document: &str, packages: &[Package]) -> Vec<Finding> {
    let rows = table(document);
    let mut findings = stale_rows(&rows, packages);
    for package in packages {
        match rows.get(&package.name) {
            Some(row) => findings.extend(forbidden_imports(package, row)),
            None => {
                let what = format!("the table has no row for `{}`", package.name);
                let remedy = "add `| crate | what it is | may import |` for it, in order from the bottom up";
                findings.push(Finding::error("layering", DOCUMENT, 0, what, remedy));
            }
        }
    }
    findings
}

fn stale_rows(rows: &BTreeMap<String, Row>, packages: &[Package]) -> Vec<Finding> {
    let exists = |name: &str| packages.iter().any(|package| package.name == name);
    let mut findings = Vec::new();
    for (name, row) in rows {
        for name in std::iter::once(name).chain(&row.may_import).filter(|name| !exists(name)) {
            let what = format!("the table names `{name}`, which is no crate of the workspace");
            findings.push(Finding::error("layering", DOCUMENT, row.line, what, "remove it, or build it"));
        }
    }
    findings
}

fn forbidden_imports(package: &Package, row: &Row) -> Vec<Finding> {
    let manifest = format!("crates/{}/Cargo.toml", package.name);
    let mut findings = Vec::new();
    for import in &package.imports {
        if import.is_local && !is_granted(package, row, import) {
            let what = format!(
                "`{}` imports `{}`, which {DOCUMENT}:{} does not grant",
                package.name, import.name, row.line
            );
            let remedy = "turn the dependency round, or move the wall: change the table and say why there";
            findings.push(Finding::error("layering", &manifest, 0, what, remedy));
        }
        let is_control = CONTROL_ROOMS.contains(&package.name.as_str())
            || GRANTED.contains(&(package.name.as_str(), import.name.as_str()));
        if !is_control && !import.is_for_tests && CONTROL_PLANE.contains(&import.name.as_str()) {
            let what =
                format!("`{}` imports `{}`, which only the control plane knows", package.name, import.name);
            findings.push(Finding::error(
                "layering",
                &manifest,
                0,
                what,
                "move the code to `control` or `weft`",
            ));
        }
    }
    findings
}

fn is_granted(package: &Package, row: &Row, import: &Import) -> bool {
    let is_core = CORE.contains(&package.name.as_str());
    let is_free_test = import.is_for_tests && (!is_core || WORLDS.contains(&import.name.as_str()));
    is_free_test || import.name == package.name || row.may_import.contains(&import.name)
}

/// The rows whose first cell is a crate's name in backticks.
fn table(document: &str) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for (index, line) in document.lines().enumerate() {
        let cells: Vec<_> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, may_import] = cells[..] else { continue };
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else { continue };
        let may_import =
            may_import.split_whitespace().filter(|word| *word != "-").map(str::to_owned).collect();
        rows.insert(name.to_owned(), Row { line: index + 1, may_import });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str =
        "| crate | what | may import |\n|---|---|---|\n| `low` | a | - |\n| `high` | b | low |\n";

    fn package(name: &str, imports: &[(&str, bool)]) -> Package {
        let import = |&(name, is_for_tests): &(&str, bool)| Import {
            name: name.into(),
            is_local: !CONTROL_PLANE.contains(&name),
            is_for_tests,
        };
        Package { name: name.into(), imports: imports.iter().map(import).collect(), ..Package::default() }
    }

    fn whats(packages: &[Package]) -> Vec<String> {
        check(TABLE, packages).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_house_in_order_has_no_findings() {
        assert_eq!(whats(&[package("low", &[]), package("high", &[("low", false)])]), Vec::<String>::new());
    }

    #[test]
    fn an_import_upwards_is_found() {
        let found = whats(&[package("low", &[("high", false)]), package("high", &[])]);
        assert_eq!(found, ["`low` imports `high`, which ARCHITECTURE.md:3 does not grant"]);
    }

    #[test]
    fn tests_outside_the_core_may_import_any_room() {
        assert_eq!(whats(&[package("low", &[("high", true)]), package("high", &[])]).len(), 0);
        let row = Row { line: 1, may_import: BTreeSet::new() };
        assert_eq!(forbidden_imports(&package("wire", &[("engine", true)]), &row).len(), 1);
    }

    #[test]
    fn tests_of_the_core_may_have_a_world_to_run_in() {
        let row = Row { line: 1, may_import: BTreeSet::new() };
        assert_eq!(forbidden_imports(&package("nvme", &[("sim", true)]), &row), []);
        assert_eq!(forbidden_imports(&package("nvme", &[("sim", false)]), &row).len(), 1);
    }

    #[test]
    fn a_room_without_a_row_and_a_row_without_a_room_are_found() {
        let found = whats(&[package("low", &[]), package("new", &[])]);
        assert_eq!(
            found,
            ["the table names `high`, which is no crate of the workspace", "the table has no row for `new`"]
        );
    }

    #[test]
    fn only_the_control_plane_knows_json() {
        let found = whats(&[package("low", &[("serde_json", false)]), package("high", &[("tokio", true)])]);
        assert_eq!(found, ["`low` imports `serde_json`, which only the control plane knows"]);
    }
}

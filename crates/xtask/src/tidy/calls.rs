//! What code may not say: calls that reach past `Env` in the core, `unsafe` outside its rooms, unfinished work.

use super::finding::Finding;
use super::lexer::find_word;
use super::source::Source;

/// The rooms that are a function of their inputs.
pub const CORE: [&str; 10] =
    ["stdx", "wire", "verbs", "shm", "rdma", "sdp", "block", "nvme", "scsi", "engine"];

/// The rooms that may hold `unsafe`.
const UNSAFE: [&str; 3] = ["stdx", "reactor", "preload"];

/// The only part of stdx that may.
const UNSAFE_IN_STDX: [&str; 2] = ["crates/stdx/src/mem.rs", "crates/stdx/src/mem/"];

/// A word no file of the core may hold, and what it should say instead.
const FORBIDDEN: &[(&[&str], &str)] = &[
    (
        &["SystemTime", "std::time::Instant", "Instant::now()"],
        "take `now` as an argument; Env is the only clock",
    ),
    (
        &["std::thread", "thread::spawn", "thread::sleep", "thread_local!"],
        "a shard is one thread, which Env owns",
    ),
    (
        &["HashMap", "HashSet", "RandomState"],
        "its order changes from run to run: use BTreeMap, BTreeSet, a Vec or stdx's slab",
    ),
    (&["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "UnixListener"], "submit an IoOp to Env"),
    (&["std::fs", "std::process", "std::env", "fs::File", "fs::read"], "submit an IoOp to Env"),
    (&["println!", "eprintln!", "print!", "eprint!"], "return a value, count it, or emit a tracing event"),
    (&["rand::", "thread_rng", "getrandom"], "draw from the PRNG that Env seeded"),
];

/// Calls that reach past `Env`.
pub fn forbidden(source: &Source) -> Vec<Finding> {
    if !source.room().is_some_and(|room| CORE.contains(&room)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in source.shipped() {
        let line = spelled_out(line);
        for (words, remedy) in FORBIDDEN {
            if let Some(word) = words.iter().find(|word| find_word(&line, word).is_some()) {
                let what = format!("`{word}` in the core");
                findings.push(Finding::error("forbidden-call", &source.path, number, what, remedy));
            }
        }
    }
    findings
}

/// `use std::time::{Duration, Instant}` also names `std::time::Instant`.
fn spelled_out(line: &str) -> String {
    let mut line = line.to_owned();
    if let Some((path, names)) = line.trim().trim_end_matches("};").split_once("::{") {
        let path = path.trim_start_matches("pub ").trim_start_matches("use ");
        let names: Vec<_> = names.split(',').map(|name| format!(" {path}::{}", name.trim())).collect();
        line.push_str(&names.concat());
    }
    line
}

/// A crate that needs no `unsafe` says so once, at its root, and the compiler holds it to that.
pub fn unsafe_forbidden(source: &Source) -> Option<Finding> {
    let room = source.room()?;
    let is_forbidden = source.code.iter().any(|line| line.trim() == "#![forbid(unsafe_code)]");
    (!UNSAFE.contains(&room) && !is_forbidden).then(|| {
        let what = format!("`{room}` does not forbid unsafe code");
        Finding::error(
            "unsafe",
            &source.path,
            0,
            what,
            "add `#![forbid(unsafe_code)]` below the crate's documentation",
        )
    })
}

/// In stdx `unsafe` belongs to `mem` alone.
pub fn unsafe_outside_memory(source: &Source) -> Option<Finding> {
    let path = source.path.to_str().unwrap_or_default();
    if source.room() != Some("stdx") || UNSAFE_IN_STDX.iter().any(|prefix| path.starts_with(prefix)) {
        return None;
    }
    let (number, _) = source.shipped().find(|(_, line)| find_word(line, "unsafe").is_some())?;
    let remedy = "move it behind a safe function of stdx::mem, where all of it is read together";
    Some(Finding::error("unsafe", &source.path, number, "`unsafe` outside stdx::mem".into(), remedy))
}

/// Work that is not done: macros that panic for it, and comments that promise it.
pub fn unfinished(source: &Source) -> Vec<Finding> {
    let macros = ["todo!", "unimplemented!", "dbg!"];
    let promises = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut findings = Vec::new();
    for (index, (line, code)) in source.lines.iter().zip(&source.code).enumerate() {
        let call = macros.iter().find(|name| find_word(code, name).is_some());
        let promise = promises.iter().find(|word| find_word(line, word).is_some());
        if let Some(word) = call.or(promise) {
            let remedy = "finish it, or leave it out and say so where users read it";
            findings.push(Finding::error("unfinished", &source.path, index + 1, format!("`{word}`"), remedy));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn source(path: &str, text: &str) -> Source {
        Source::new(Path::new(path), text)
    }

    fn words(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.what.split('`').nth(1).unwrap_or_default()).collect()
    }

    #[test]
    fn every_forbidden_word_is_found_in_the_core() {
        for (group, _) in FORBIDDEN {
            for word in *group {
                let source = source("crates/engine/src/shard.rs", &format!("fn f() {{ {word} }}\n"));
                assert_eq!(forbidden(&source).len(), 1, "{word}");
            }
        }
    }

    #[test]
    fn a_grouped_import_is_spelled_out() {
        let source =
            source("crates/nvme/src/a.rs", "use std::time::{Duration, Instant};\nuse std::time::Duration;\n");
        assert_eq!(words(&forbidden(&source)), ["std::time::Instant"]);
    }

    #[test]
    fn comments_tests_and_other_rooms_may_say_it() {
        let text = "// HashMap\n#[cfg(test)]\nmod tests {\n    use std::collections::HashMap;\n}\n";
        assert_eq!(forbidden(&source("crates/block/src/a.rs", text)), []);
        assert_eq!(forbidden(&source("crates/weft/src/a.rs", "use std::fs;\n")), []);
    }

    #[test]
    fn a_crate_without_the_promise_is_found() {
        assert!(unsafe_forbidden(&source("crates/wire/src/lib.rs", "//! Wire.\n")).is_some());
        assert!(unsafe_forbidden(&source("crates/wire/src/lib.rs", "#![forbid(unsafe_code)]\n")).is_none());
        assert!(unsafe_forbidden(&source("crates/reactor/src/lib.rs", "//! Reactor.\n")).is_none());
        assert!(unsafe_forbidden(&source("crates/preload/src/lib.rs", "//! Preload.\n")).is_none());
    }

    #[test]
    fn unsafe_in_stdx_belongs_to_mem() {
        let text = "fn f() { unsafe { g() } }\n";
        assert!(unsafe_outside_memory(&source("crates/stdx/src/slab.rs", text)).is_some());
        assert!(unsafe_outside_memory(&source("crates/stdx/src/mem/region.rs", text)).is_none());
        assert!(
            unsafe_outside_memory(&source("crates/stdx/src/lib.rs", "#![deny(unsafe_code)]\n")).is_none()
        );
    }

    #[test]
    fn unfinished_work_is_found_and_its_name_in_a_string_is_not() {
        let promise = concat!("// TO", "DO later\n");
        let text = format!("fn f() {{ todo!() }}\nlet a = \"todo!\";\n{promise}");
        let found = unfinished(&source("crates/weft/src/a.rs", &text));
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [1, 3]);
    }
}

//! The reactor keeps every promise of `Env` about files, whoever makes the calls.

use reactor::{FileBackend, Options, Reactor};
use std::path::PathBuf;
use stdx::conformance::files;
use stdx::env::{Env, FileOp, FileOpKind, IoError, OpenFile, Owner};
use stdx::mem::MemoryLimits;

fn reactor(files: FileBackend) -> Reactor {
    let memory = MemoryLimits { buffer_bytes: 40 << 20 };
    Reactor::new(Options { memory, files, file_depth: 64, ..Options::default() }).unwrap()
}

/// A path in cargo's directory for tests (a real file system, not memory) that names nothing.
fn path(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&path);
    path
}

fn check(backend: FileBackend, name: &str, direct: bool) {
    let path = path(name);
    files::all(&mut reactor(backend), &path, direct);
    std::fs::remove_file(path).unwrap();
}

/// True if this machine lets us have a ring; says so if not.
fn has_ring() -> bool {
    let path = path("probe");
    let open = OpenFile { create: Some(0), ..OpenFile::existing(&path) };
    let has = reactor(FileBackend::Uring).open_file(&open).is_ok();
    let _ = std::fs::remove_file(path);
    if !has {
        eprintln!("skipped: this machine does not allow io_uring");
        assert!(std::env::var_os("CI").is_none(), "CI must test it");
    }
    has
}

#[test]
fn files_conform_through_threads() {
    check(FileBackend::Threads, "threads", false);
    check(FileBackend::Threads, "threads-direct", true);
}

#[test]
fn files_conform_through_a_ring() {
    if has_ring() {
        check(FileBackend::Uring, "uring", false);
        check(FileBackend::Uring, "uring-direct", true);
    }
}

#[test]
fn there_is_always_a_way() {
    check(FileBackend::Auto, "auto", false);
}

#[test]
fn a_reactor_that_goes_waits_for_its_operations() {
    for backend in [FileBackend::Threads, FileBackend::Auto] {
        let path = path(&format!("dropped-{backend:?}"));
        let mut env = reactor(backend);
        let open = OpenFile { create: Some(1 << 20), ..OpenFile::existing(&path) };
        let file = env.open_file(&open).unwrap();
        let buffer = env.mem().take(1 << 20).unwrap();
        env.mem().fill(buffer, 7);
        let kind = FileOpKind::Write { data: buffer, durable: true };
        env.submit(FileOp { owner: Owner(1), tag: 0, file, kind, offset: 0 }).unwrap();
        drop(env);
        assert!(std::fs::read(&path).unwrap() == vec![7; 1 << 20], "{backend:?}");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn what_is_no_file_is_not_opened() {
    let mut env = reactor(FileBackend::Threads);
    for path in ["/dev/zero", "/"] {
        assert_eq!(env.open_file(&OpenFile::existing(path.as_ref())), Err(IoError::Unsupported));
    }
}

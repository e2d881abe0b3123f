//! Files: what is written is read, ends and errors are told, and each operation is told exactly once.

use super::wait_for;
use crate::env::{Env, FileId, FileOp, FileOpKind, IoError, OpenFile, Owner, Refused, What};
use crate::mem::{Kind, Span};
use std::path::Path;

/// Runs all checks of this module. `path` names no file; it is made, and left behind. `direct` asks for transfers past the
/// page cache.
pub fn all(env: &mut dyn Env, path: &Path, direct: bool) {
    what_is_missing_is_not_found(env, path);
    let open = OpenFile { path: path.to_owned(), read_only: false, direct, create: Some(LEN) };
    let file = env.open_file(&open).expect("a new file");
    let info = env.file_info(file).expect("what it is");
    assert_eq!((info.len, info.is_device), (LEN, false));
    assert!(info.alignment <= PIECE && (direct || info.alignment == 1));
    bytes_written_are_read(env, file);
    the_end_cuts_a_read(env, file);
    zeroed_bytes_are_zero(env, file);
    extents_cover_the_file(env, file);
    each_operation_is_told_once(env, file);
    a_region_given_back_is_not_missed(env, file);
    a_longer_file_is_zero_behind(env, file);
    a_closed_file_completes_what_is_under_way(env, file);
    a_read_only_file_is_not_written(env, &OpenFile { read_only: true, create: None, ..open });
}

const OWNER: Owner = Owner(1);
const OWNERS: [Owner; 1] = [OWNER];

/// Submits one operation and waits for its result.
fn run(env: &mut dyn Env, file: FileId, offset: u64, kind: FileOpKind) -> Result<u32, IoError> {
    env.submit(op(file, 77, offset, kind)).expect("there is room for one");
    wait_for(env, &OWNERS, |event| match event.what {
        What::FileDone { tag, result } => {
            assert_eq!(tag, 77);
            Some(result)
        }
        _ => None,
    })
}

fn op(file: FileId, tag: u64, offset: u64, kind: FileOpKind) -> FileOp {
    FileOp { owner: OWNER, tag, file, kind, offset }
}

fn what_is_missing_is_not_found(env: &mut dyn Env, path: &Path) {
    assert_eq!(env.open_file(&OpenFile::existing(path)), Err(IoError::NotFound));
}

/// Writes, durable or not, and a sync; then reads at the same and at shifted places.
fn bytes_written_are_read(env: &mut dyn Env, file: FileId) {
    let buffer = env.mem().take(LARGE as usize).expect("a buffer");
    let half = buffer.len() / 2;
    let bytes: Vec<u8> = (0..buffer.len()).map(|at| (at / 512 + at) as u8).collect();
    env.mem().write(buffer, &bytes);
    let (first, second) = (buffer.first(half), buffer.from(half));
    assert_eq!(run(env, file, 0, FileOpKind::Write { data: first, durable: false }), Ok(half as u32));
    assert_eq!(
        run(env, file, half as u64, FileOpKind::Write { data: second, durable: true }),
        Ok(half as u32)
    );
    assert_eq!(run(env, file, 0, FileOpKind::Sync), Ok(0));
    env.mem().fill(buffer, 0);
    assert_eq!(run(env, file, u64::from(PIECE), FileOpKind::Read(first)), Ok(half as u32));
    let mut read = vec![0; half];
    env.mem().read(first, &mut read);
    assert!(read == bytes[PIECE as usize..][..half], "other bytes than those written");
    env.mem().give(buffer);
}

fn the_end_cuts_a_read(env: &mut dyn Env, file: FileId) {
    let buffer = env.mem().take(2 * PIECE as usize).expect("a buffer");
    assert_eq!(run(env, file, LEN - u64::from(PIECE), FileOpKind::Read(buffer)), Ok(PIECE));
    assert_eq!(run(env, file, LEN, FileOpKind::Read(buffer)), Ok(0));
    assert_eq!(run(env, file, 0, FileOpKind::Read(Span::EMPTY)), Ok(0));
    env.mem().give(buffer);
}

/// Where the file can do it, zeroed and punched bytes read as zero, and their neighbours as before.
fn zeroed_bytes_are_zero(env: &mut dyn Env, file: FileId) {
    let buffer = env.mem().take(4 * PIECE as usize).expect("a buffer");
    let piece = PIECE as usize;
    let len = u64::from(PIECE);
    env.mem().fill(buffer, 0xaa);
    assert_eq!(run(env, file, 0, FileOpKind::Write { data: buffer, durable: false }), Ok(4 * PIECE));
    let results =
        [run(env, file, len, FileOpKind::Punch { len }), run(env, file, 2 * len, FileOpKind::Zero { len })];
    let can_punch = env.file_info(file).expect("what it is").can_punch;
    assert!(!can_punch || results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(run(env, file, 0, FileOpKind::Read(buffer)), Ok(4 * PIECE));
    let mut bytes = vec![0; buffer.len()];
    env.mem().read(buffer, &mut bytes);
    let value = |done: bool| if done { 0 } else { 0xaa };
    let expected = [0xaa, value(results[0].is_ok()), value(results[1].is_ok()), 0xaa];
    for (piece, value) in bytes.chunks(piece).zip(expected) {
        assert!(piece.iter().all(|&byte| byte == value), "expected {value:#x} throughout");
    }
    assert_eq!(env.file_info(file).expect("what it is").len, LEN, "neither makes the file longer");
    env.mem().give(buffer);
}

/// Extents follow each other to the end, bytes that were written have space, and those without read as zero.
fn extents_cover_the_file(env: &mut dyn Env, file: FileId) {
    let buffer = env.mem().take(PIECE as usize).expect("a buffer");
    env.mem().fill(buffer, 0xaa);
    let last = LEN - u64::from(PIECE);
    assert_eq!(run(env, file, last, FileOpKind::Write { data: buffer, durable: false }), Ok(PIECE));
    assert!(env.file_extent(file, last).expect("an extent").mapped, "written bytes without space");
    let mut at = 0;
    while at < LEN {
        let extent = env.file_extent(file, at).expect("an extent");
        assert!(extent.len > 0 && extent.len <= LEN - at, "{extent:?} at {at}");
        let start = at.next_multiple_of(PIECE.into());
        if !extent.mapped && start + u64::from(PIECE) <= at + extent.len {
            assert_eq!(run(env, file, start, FileOpKind::Read(buffer)), Ok(PIECE));
            assert!(env.mem().is_zero(buffer), "bytes without space are not zero");
        }
        at += extent.len;
    }
    assert_eq!(env.file_extent(file, LEN).expect("an extent").len, 0);
    env.mem().give(buffer);
}

/// As many operations as are taken, all told once; what is refused comes back as it was.
fn each_operation_is_told_once(env: &mut dyn Env, file: FileId) {
    let buffer = env.mem().take(PIECE as usize).expect("a buffer");
    let mut told = Vec::new();
    for tag in 0..10_000 {
        let op = op(file, tag, 0, FileOpKind::Read(buffer));
        match env.submit(op) {
            Ok(()) => told.push(0),
            Err(Refused(back)) => {
                assert_eq!(back, op);
                break;
            }
        }
    }
    assert!(!told.is_empty() && told.len() < 10_000, "{} operations at once", told.len());
    while told.contains(&0) {
        wait_for(env, &OWNERS, |event| match event.what {
            What::FileDone { tag, result } => {
                assert_eq!(result, Ok(PIECE));
                told[tag as usize] += 1;
                Some(())
            }
            _ => None,
        });
    }
    assert!(told.iter().all(|&times| times == 1), "told twice");
    env.mem().give(buffer);
}

/// A region that goes while an operation moves its bytes is no danger.
fn a_region_given_back_is_not_missed(env: &mut dyn Env, file: FileId) {
    let region = env.mem().map(Kind::Shared, u64::from(LARGE)).expect("memory");
    let span = env.mem().whole(region);
    env.submit(op(file, 5, 0, FileOpKind::Read(span))).expect("there is room for one");
    env.mem().unmap(region);
    wait_for(env, &OWNERS, |event| match event.what {
        What::FileDone { tag: 5, result } => Some(result),
        _ => None,
    })
    .expect("the bytes went somewhere");
}

fn a_longer_file_is_zero_behind(env: &mut dyn Env, file: FileId) {
    let buffer = env.mem().take(PIECE as usize).expect("a buffer");
    env.mem().fill(buffer, 1);
    assert_eq!(env.resize_file(file, LEN + u64::from(PIECE)), Ok(()));
    assert_eq!(env.file_info(file).expect("what it is").len, LEN + u64::from(PIECE));
    assert_eq!(run(env, file, LEN, FileOpKind::Read(buffer)), Ok(PIECE));
    assert!(env.mem().is_zero(buffer));
    env.mem().give(buffer);
}

/// Closing waits for what is under way, and what comes later fails.
fn a_closed_file_completes_what_is_under_way(env: &mut dyn Env, file: FileId) {
    let buffer = env.mem().take(PIECE as usize).expect("a buffer");
    env.submit(op(file, 1, 0, FileOpKind::Read(buffer))).expect("there is room");
    env.close_file(file);
    env.submit(op(file, 2, 0, FileOpKind::Read(buffer))).expect("there is room");
    let mut told = [0, 0];
    while told != [1, 1] {
        wait_for(env, &OWNERS, |event| match event.what {
            What::FileDone { tag: 1, result } => {
                assert_eq!(result, Ok(PIECE));
                told[0] += 1;
                Some(())
            }
            What::FileDone { tag: 2, result } => {
                assert!(result.is_err(), "the file is closed");
                told[1] += 1;
                Some(())
            }
            _ => None,
        });
    }
    assert!(env.file_info(file).is_err());
    env.mem().give(buffer);
}

fn a_read_only_file_is_not_written(env: &mut dyn Env, open: &OpenFile) {
    let file = env.open_file(open).expect("the file is there now");
    assert!(!env.file_info(file).expect("what it is").can_punch);
    let buffer = env.mem().take(PIECE as usize).expect("a buffer");
    assert_eq!(run(env, file, 0, FileOpKind::Read(buffer)), Ok(PIECE));
    assert!(run(env, file, 0, FileOpKind::Write { data: buffer, durable: false }).is_err());
    env.close_file(file);
    env.mem().give(buffer);
}

/// Bytes of the file.
const LEN: u64 = 4 << 20;

/// Bytes of a small transfer: a multiple of every device's alignment.
const PIECE: u32 = 4096;

/// Bytes of a large one.
const LARGE: u32 = 1 << 20;

//! Nothing is allocated per receive, send or file operation once tables have grown to the load.

use reactor::{FileBackend, Options, Reactor};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::PathBuf;
use stdx::env::{Env, Event, FileId, FileOp, FileOpKind, IoError, OpenFile, Owner, StreamId, What};
use stdx::mem::{MemoryLimits, Span};

/// The system's allocator, counting what each thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; the counter is a plain cell without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promised us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised us.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

fn reactor(files: FileBackend) -> Reactor {
    let memory = MemoryLimits { buffer_bytes: 40 << 20 };
    Reactor::new(Options { memory, files, ..Options::default() }).unwrap()
}

/// One message there and back.
fn round_trip(env: &mut Reactor, ends: [StreamId; 2], buffer: Span, events: &mut Vec<Event>) {
    for (from, to) in [(ends[0], ends[1]), (ends[1], ends[0])] {
        assert_eq!(env.send(from, &[buffer.first(100), buffer.from(100)]), Ok(buffer.len()));
        let mut left = buffer.len();
        while left > 0 {
            match env.recv(to, buffer.first(left)) {
                Ok(len) => left -= len,
                Err(IoError::WouldBlock) => {
                    events.clear();
                    env.poll(events, None);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn streams_do_not_allocate() {
    let mut env = reactor(FileBackend::Auto);
    let listener = env.listen(Owner(1), "127.0.0.1:0".parse().unwrap()).unwrap();
    let client = env.connect(Owner(2), env.listener_address(listener)).unwrap();
    let mut events = Vec::with_capacity(64);
    env.poll(&mut events, None);
    let server = loop {
        match env.accept(listener, Owner(3)) {
            Ok(accepted) => break accepted.stream,
            Err(_) => env.poll(&mut events, None),
        }
    };
    let buffer = env.mem().take(4096).unwrap();
    let mut run = |env: &mut Reactor, times: usize| {
        for _ in 0..times {
            round_trip(env, [client, server], buffer, &mut events);
        }
    };
    run(&mut env, 10);
    let before = allocations();
    run(&mut env, 1000);
    assert_eq!(allocations() - before, 0);
}

/// Sixteen operations at once, all done.
fn batch(env: &mut Reactor, file: FileId, buffer: Span, events: &mut Vec<Event>) {
    for tag in 0..16 {
        let data = buffer.slice(4096 * tag as usize, 4096);
        let kind =
            if tag % 2 == 0 { FileOpKind::Write { data, durable: false } } else { FileOpKind::Read(data) };
        env.submit(FileOp { owner: Owner(1), tag, file, kind, offset: tag * 4096 }).unwrap();
    }
    let mut left = 16;
    while left > 0 {
        events.clear();
        env.poll(events, None);
        for event in events.iter() {
            assert!(matches!(event.what, What::FileDone { result: Ok(4096), .. }), "{event:?}");
            left -= 1;
        }
    }
}

#[test]
fn files_do_not_allocate() {
    for backend in [FileBackend::Threads, FileBackend::Auto] {
        let mut env = reactor(backend);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("allocation-{backend:?}"));
        let open = OpenFile { create: Some(1 << 20), ..OpenFile::existing(&path) };
        let file = env.open_file(&open).unwrap();
        let buffer = env.mem().take(64 << 10).unwrap();
        let mut events = Vec::with_capacity(64);
        for _ in 0..10 {
            batch(&mut env, file, buffer, &mut events);
        }
        let before = allocations();
        for _ in 0..100 {
            batch(&mut env, file, buffer, &mut events);
        }
        assert_eq!(allocations() - before, 0, "{backend:?}");
        std::fs::remove_file(path).unwrap();
    }
}

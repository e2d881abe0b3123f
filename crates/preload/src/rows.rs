//! The page of this program: a row for each connection, in memory that forked processes share.
//!
//! It is made when the first TCP socket is. Where the run has a name it is a file that `weft top` can read; otherwise, or where
//! there is no room for one, it has no name. All that is in it are atomics: what others write there can be wrong, but
//! no more than that, and only processes of the same user can.

use crate::lock::Lock;
use crate::{name, next};
use core::ffi::c_void;
use launch::environment::{self, RUN};
use launch::page::{Header, MAGIC, PAGE_LEN, Phase, ROWS, Row};
use libc::{MAP_ANONYMOUS, MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, c_int};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A page that was mapped, for as long as the process lives.
struct Page {
    header: &'static Header,
    rows: &'static [Row],
}

static PAGE: OnceLock<Option<Page>> = OnceLock::new();
/// Held by who makes the page, and over a fork: a child would wait for ever for a thread that it does not have.
static MAKING: Lock<()> = Lock::new((), |()| {});
/// The page's file, and the process that made it.
static FILE: OnceLock<(CString, u32)> = OnceLock::new();
static HINT: AtomicU32 = AtomicU32::new(0);
/// Connections that found no room.
static SWEEPS: AtomicU32 = AtomicU32::new(0);

/// A free row, taken; `None` if there is none, or no memory.
pub fn take() -> Option<u32> {
    let page = match PAGE.get() {
        Some(page) => page,
        // Nobody makes it twice: not who has been interrupted in that by a signal's handler.
        None => MAKING.with(|()| PAGE.get_or_init(make))?,
    };
    let page = page.as_ref()?;
    let row = page.find().or_else(|| {
        let is_due = SWEEPS.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY);
        if is_due && page.sweep() { page.find() } else { None }
    })?;
    page.header.connections.fetch_add(1, Ordering::Relaxed);
    Some(row)
}

/// Before a fork.
pub fn hold() {
    MAKING.hold();
}

/// After it.
pub fn let_go() {
    MAKING.let_go();
}

impl Page {
    fn find(&self) -> Option<u32> {
        let start = HINT.fetch_add(1, Ordering::Relaxed);
        (0..ROWS as u32).map(|step| start.wrapping_add(step) % ROWS as u32).find(|&row| {
            let used = &self.rows[row as usize].used;
            used.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// Frees the rows of processes that have ended and held them alone, or ran another program that did; true if there were any.
    fn sweep(&self) -> bool {
        let mut is_any = false;
        for row in self.rows.iter().filter(|row| row.used.load(Ordering::Acquire) == 1) {
            let process = row.process.load(Ordering::Relaxed);
            if process == 0 || row.holders.load(Ordering::SeqCst) > 1 || is_there(process) {
                continue;
            }
            // Whoever takes the dead one's number out is the one who frees the row.
            if row.process.compare_exchange(process, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                row.phase.store(Phase::Fresh as u32, Ordering::SeqCst);
                row.used.store(0, Ordering::Release);
                is_any = true;
            }
        }
        is_any
    }
}

fn is_there(process: u32) -> bool {
    // SAFETY: it takes numbers, and sends nothing.
    let answer = unsafe { libc::kill(process.cast_signed(), 0) };
    answer == 0 || crate::errno::get() != libc::ESRCH
}

/// Frees a row. It is the next that is taken, since it lies in the cache.
pub fn give_back(index: u32) {
    if let Some(row) = row(index) {
        row.used.store(0, Ordering::Release);
        HINT.store(index, Ordering::Relaxed);
    }
}

/// A row that was taken.
pub fn row(row: u32) -> Option<&'static Row> {
    PAGE.get()?.as_ref()?.rows.get(row as usize)
}

/// What is told of all connections together.
pub fn header() -> Option<&'static Header> {
    PAGE.get()?.as_ref().map(|page| page.header)
}

fn make() -> Option<Page> {
    let memory = file().or_else(anonymous)?;
    // SAFETY: the mapping is page-aligned, `PAGE_LEN` long and is never unmapped; both types hold atomics alone, for which
    // any bytes are a value, also while others write them.
    let (header, rows) = unsafe {
        let rows = memory.cast::<u8>().add(size_of::<Header>()).cast::<Row>();
        (&*memory.cast::<Header>(), std::slice::from_raw_parts(rows, ROWS))
    };
    let mut name = name::program().as_bytes().to_vec();
    name.resize(32, 0);
    for (word, bytes) in header.program.iter().zip(name.chunks_exact(8)) {
        word.store(u64::from_le_bytes(bytes.try_into().ok()?), Ordering::Relaxed);
    }
    header.program[3].fetch_and(u64::MAX >> 8, Ordering::Relaxed);
    header.magic.store(MAGIC, Ordering::Release);
    Some(Page { header, rows })
}

fn anonymous() -> Option<*mut c_void> {
    map(-1, MAP_SHARED | MAP_ANONYMOUS)
}

/// A file in the directory that is this user's alone. All of it is there before it is mapped: memory that a full file
/// system cannot give would end the program.
fn file() -> Option<*mut c_void> {
    let run = std::env::var(RUN).ok().filter(|run| !run.is_empty() && !run.contains('/'))?;
    let path = folder()?.join(environment::page_name(&run, std::process::id()));
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    // SAFETY: the path is a C string.
    let fd = unsafe { libc::open(path.as_ptr(), flags, 0o600) };
    if fd < 0 {
        return None;
    }
    // SAFETY: the descriptor was opened above, and is nobody else's.
    let has_room = unsafe { libc::posix_fallocate(fd, 0, PAGE_LEN as libc::off_t) } == 0;
    let memory = if has_room { map(fd, MAP_SHARED) } else { None };
    // SAFETY: as above; a mapping outlives its descriptor.
    unsafe {
        if memory.is_none() {
            libc::unlink(path.as_ptr());
        }
        next::close(fd);
    }
    let memory = memory?;
    if !environment::is_kept(&run) {
        // There is one page only, and this is it.
        let _ = FILE.set((path, std::process::id()));
    }
    Some(memory)
}

/// A carrier called the kernel, to wait or to wake.
pub fn kernel_called(times: u64) {
    if let Some(header) = header() {
        header.kernel_calls.fetch_add(times, Ordering::Relaxed);
    }
}

/// The process ends: nobody needs to know of its connections any more.
pub fn remove() {
    if let Some((path, maker)) = FILE.get()
        && *maker == std::process::id()
    {
        // SAFETY: the path is a C string.
        unsafe { libc::unlink(path.as_ptr()) };
    }
}

fn folder() -> Option<PathBuf> {
    // SAFETY: it takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    let folder = environment::directory(user);
    // It is there already, most of the time.
    let _ = fs::DirBuilder::new().mode(0o700).create(&folder);
    is_own(&folder, user).then_some(folder)
}

fn is_own(folder: &Path, user: u32) -> bool {
    fs::symlink_metadata(folder)
        .is_ok_and(|about| about.is_dir() && about.uid() == user && about.mode() & 0o077 == 0)
}

fn map(fd: c_int, flags: c_int) -> Option<*mut c_void> {
    // SAFETY: a new mapping at a place of the kernel's choice touches no memory that exists.
    let memory = unsafe { libc::mmap(null_mut(), PAGE_LEN, PROT_READ | PROT_WRITE, flags, fd, 0) };
    (memory != MAP_FAILED).then_some(memory)
}

/// To ask for all processes takes a while, and is not done for each connection that finds no room.
const SWEEP_EVERY: u32 = 64;

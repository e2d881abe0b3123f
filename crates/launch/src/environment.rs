//! What a program started by `weft run` finds in its environment, and where its page lies.

use std::path::PathBuf;

/// The name of the run, which the names of all its pages begin with. No page is made where it is absent.
pub const RUN: &str = "WEFT_RUN";

/// The policy itself, as text: a program may not be allowed to read the file, or live under another root.
pub const POLICY: &str = "WEFT_POLICY";

/// A directory by which programs meet that have no network namespace in common.
pub const SHARED: &str = "WEFT_SHARED";

/// What the names of doors in such a directory begin with: other sockets in it are none of ours.
pub const DOOR: &str = "weft-";

/// Of a directory's mode: those who may write to it and do not own it. In one by which programs meet there are none.
pub const OTHERS_MAY_WRITE: u32 = 0o022;

/// What the dynamic linker loads first.
pub const PRELOAD: &str = "LD_PRELOAD";

/// The library's file.
pub const LIBRARY: &str = "libweft_preload.so";

/// Where a user's pages lie: memory, and nobody else's.
pub fn directory(user: u32) -> PathBuf {
    PathBuf::from(format!("/dev/shm/weft-{user}"))
}

/// The name of a run, made of its own words and whether its pages are to outlive its processes, for `weft run --stats` to read.
pub fn run_name(words: &str, is_kept: bool) -> String {
    format!("{}{words}", if is_kept { KEPT } else { "" })
}

/// Do pages of this run outlive its processes?
pub fn is_kept(run: &str) -> bool {
    run.starts_with(KEPT)
}

const KEPT: &str = "kept-";

/// The name of the page of a process.
pub fn page_name(run: &str, process: u32) -> String {
    format!("{run}.{process}")
}

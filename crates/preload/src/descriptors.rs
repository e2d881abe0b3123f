//! What each descriptor of this process is to us: one load tells that it is not ours.
//!
//! The table belongs to a process and is copied by fork, as descriptors are. Entries are changed by whoever opens, closes or
//! duplicates the descriptor, of which the program sees to it that there is one at a time.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU32, Ordering};

/// Descriptors from here on are left alone.
pub const DESCRIPTORS: usize = 1 << 20;

/// Zeroes that take no memory until they are written.
static TABLE: [AtomicU32; DESCRIPTORS] = [const { AtomicU32::new(0) }; DESCRIPTORS];

/// How many of each block's descriptors are ours. Those of our own lie far above the program's: who looks for all goes by blocks.
static BLOCKS: [AtomicU32; DESCRIPTORS / BLOCK] = [const { AtomicU32::new(0) }; DESCRIPTORS / BLOCK];

/// What a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// None of ours.
    Foreign,
    /// A TCP socket, by its row.
    Connection(u32),
    /// A TCP socket that listens, with the descriptor of ours that says so to others.
    Listener(c_int),
    /// An epoll set that may watch carried connections, by the first of its descriptors.
    Set(c_int),
    /// One that we opened, and that is not there for the program.
    Private,
}

/// What this descriptor is.
pub fn get(fd: c_int) -> Entry {
    match TABLE.get(fd as usize) {
        None => Entry::Foreign,
        Some(word) => decode(word.load(Ordering::Relaxed)),
    }
}

/// Its row, if it is a TCP socket.
pub fn connection(fd: c_int) -> Option<u32> {
    let word = TABLE.get(fd as usize)?.load(Ordering::Relaxed);
    (word >> KIND == CONNECTION).then_some(word & VALUE)
}

/// The first of an epoll set's descriptors, by which it is known; the same where nothing is known of it.
pub fn first_of_set(fd: c_int) -> c_int {
    if let Entry::Set(first) = get(fd) { first } else { fd }
}

/// Says what a descriptor is. Those past the table stay foreign: the answer is false.
pub fn set(fd: c_int, entry: Entry) -> bool {
    let Some(word) = TABLE.get(fd as usize) else { return false };
    let value = match entry {
        Entry::Foreign => 0,
        Entry::Connection(row) => CONNECTION << KIND | row & VALUE,
        Entry::Listener(mark) => LISTENER << KIND | mark as u32 & VALUE,
        Entry::Set(first) => SET << KIND | first as u32 & VALUE,
        Entry::Private => PRIVATE << KIND,
    };
    let block = &BLOCKS[fd as usize / BLOCK];
    if value != 0 {
        block.fetch_add(1, Ordering::Relaxed);
    }
    if word.swap(value, Ordering::Relaxed) != 0 {
        block.fetch_sub(1, Ordering::Relaxed);
    }
    true
}

/// All that are anything to us.
pub fn ours() -> impl Iterator<Item = c_int> {
    std::iter::successors(next_of_ours(0, c_int::MAX), |&fd| next_of_ours(fd + 1, c_int::MAX))
}

/// One more listener has the mark that this descriptor of ours is; 0 is none.
pub fn hold_mark(mark: c_int) {
    if let Some(word) = mark_word(mark) {
        word.fetch_add(1, Ordering::Relaxed);
    }
}

/// One fewer; true if it was the last.
pub fn let_go_mark(mark: c_int) -> bool {
    mark_word(mark).is_some_and(|word| word.fetch_sub(1, Ordering::Relaxed) & VALUE == 1)
}

/// The value of one of ours is how many listeners have it as their mark.
fn mark_word(mark: c_int) -> Option<&'static AtomicU32> {
    TABLE.get(mark as usize).filter(|word| word.load(Ordering::Relaxed) >> KIND == PRIVATE)
}

/// The first descriptor of these that is anything to us.
pub fn next_of_ours(from: c_int, to: c_int) -> Option<c_int> {
    let mut fd = from.max(0) as usize;
    let end = DESCRIPTORS.min((to as usize).saturating_add(1));
    while to >= 0 && fd < end {
        let next_block = (fd / BLOCK + 1) * BLOCK;
        if BLOCKS[fd / BLOCK].load(Ordering::Relaxed) != 0 {
            let found = (fd..next_block.min(end)).find(|&fd| TABLE[fd].load(Ordering::Relaxed) != 0);
            if found.is_some() {
                return found.map(|fd| fd as c_int);
            }
        }
        fd = next_block;
    }
    None
}

/// All epoll sets, by the first descriptor of each.
pub fn sets() -> impl Iterator<Item = c_int> {
    ours().filter(|&fd| get(fd) == Entry::Set(fd))
}

fn decode(word: u32) -> Entry {
    let value = word & VALUE;
    match word >> KIND {
        CONNECTION => Entry::Connection(value),
        LISTENER => Entry::Listener(value as c_int),
        SET => Entry::Set(value as c_int),
        PRIVATE => Entry::Private,
        _ => Entry::Foreign,
    }
}

/// Descriptors of a block: four pages of the table.
const BLOCK: usize = 4096;
const KIND: u32 = 28;
const VALUE: u32 = (1 << KIND) - 1;
const CONNECTION: u32 = 1;
const LISTENER: u32 = 2;
const SET: u32 = 3;
const PRIVATE: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_went_in() {
        for entry in [
            Entry::Connection(0),
            Entry::Connection(16_383),
            Entry::Listener(900_000),
            Entry::Set(5),
            Entry::Private,
        ] {
            assert!(set(700_000, entry));
            assert_eq!(get(700_000), entry);
            assert_eq!(connection(700_000).is_some(), matches!(entry, Entry::Connection(_)));
        }
        assert!(set(700_000, Entry::Foreign));
        assert_eq!((get(700_000), get(-1), connection(-1)), (Entry::Foreign, Entry::Foreign, None));
        assert!(set(700_000, Entry::Private));
        hold_mark(700_000);
        hold_mark(700_000);
        assert_eq!((get(700_000), let_go_mark(700_000), let_go_mark(700_000)), (Entry::Private, false, true));
        assert!(set(700_000, Entry::Foreign) && !let_go_mark(700_000) && !let_go_mark(0));
        assert!(!set(-1, Entry::Private) && !set(DESCRIPTORS as c_int, Entry::Private));
    }

    #[test]
    fn all_of_ours_are_found_wherever_they_are() {
        // Above those of other tests.
        const BASE: c_int = (220 * BLOCK) as c_int;
        const LAST: c_int = DESCRIPTORS as c_int - 1;
        let all = [BASE + 5, BASE + 4095, BASE + 4096, BASE + 50_000, LAST];
        let found = |from, to| all.into_iter().find(|&fd| (from..=to).contains(&fd));
        for &fd in &all {
            // Twice, and another thing: it is still one.
            assert!(set(fd, Entry::Private) && set(fd, Entry::Private) && set(fd, Entry::Set(fd)));
        }
        for from in [0, 5, 6, 4095, 4096, 4097, 49_999, 50_001].map(|at| BASE + at).into_iter().chain([LAST])
        {
            for to in [-1, 0, BASE + 4, BASE + 5, BASE + 4095, BASE + 50_000, LAST + 1, c_int::MAX] {
                assert_eq!(next_of_ours(from, to), found(from, to), "from {from} to {to}");
            }
        }
        assert!(ours().filter(|&fd| fd >= BASE).eq(all));
        assert!(all.iter().all(|&fd| set(fd, Entry::Foreign)));
        assert_eq!((next_of_ours(BASE, c_int::MAX), next_of_ours(c_int::MAX, c_int::MAX)), (None, None));
        assert!(BLOCKS[220..].iter().all(|block| block.load(Ordering::Relaxed) == 0));
    }
}

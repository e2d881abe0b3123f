//! One mapping: of anonymous memory, zero until written and paid for only where touched; of a file of ours that other
//! processes may read; or of such a file of another process.

use super::Share;
use core::ptr::NonNull;

/// A mapping. Its bytes are reached through raw pointers alone, because parties other than this thread may write them.
#[derive(Debug)]
pub(super) struct Region {
    base: NonNull<u8>,
    len: usize,
    backing: Backing,
}

/// What the bytes are of.
#[derive(Debug)]
enum Backing {
    Anonymous,
    Published(Share),
    Foreign,
}

// SAFETY: a Region owns its mapping, and nothing about the mapping is tied to the thread that made it.
unsafe impl Send for Region {}

impl Region {
    /// Maps `len` zero bytes, rounded up to whole pages. `None` if the system refuses.
    pub(super) fn map(len: usize) -> Option<Self> {
        let len = len.max(1).checked_next_multiple_of(PAGE)?;
        let base = NonNull::new(sys::map(len)?)?;
        Some(Self { base, len, backing: Backing::Anonymous })
    }

    /// The same, for other processes to read. `None` if the system refuses, or cannot.
    pub(super) fn publish(len: usize) -> Option<Self> {
        let len = len.max(1).checked_next_multiple_of(PAGE)?;
        let (share, base) = Share::create(len)?;
        Some(Self { base: NonNull::new(base)?, len, backing: Backing::Published(share) })
    }

    /// Maps what another process shares, to be read. `None` if the system refuses.
    pub(super) fn attach(share: &Share) -> Option<Self> {
        let len = usize::try_from(share.len()).ok()?;
        Some(Self { base: NonNull::new(share.map()?)?, len, backing: Backing::Foreign })
    }

    /// What other processes need to read it.
    pub(super) const fn share(&self) -> Option<&Share> {
        match &self.backing {
            Backing::Published(share) => Some(share),
            Backing::Anonymous | Backing::Foreign => None,
        }
    }

    /// Makes the mapping longer; its address may change if it `may_move`. False, and no change, if the system refuses.
    pub(super) fn grow(&mut self, len: usize, may_move: bool) -> bool {
        let Some(len) = len.checked_next_multiple_of(PAGE) else { return false };
        if len <= self.len {
            return true;
        }
        if !matches!(self.backing, Backing::Anonymous) {
            return false;
        }
        match sys::remap(self.base.as_ptr(), self.len, len, may_move).and_then(NonNull::new) {
            Some(base) => {
                (self.base, self.len) = (base, len);
                true
            }
            None => false,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The address of `len` bytes at `offset`. Panics unless they lie inside: a span is never taken from a peer.
    #[inline]
    pub(super) fn at(&self, offset: u64, len: usize) -> *mut u8 {
        let start = usize::try_from(offset).expect("an offset fits the address space");
        assert!(
            start <= self.len && len <= self.len - start,
            "{start}+{len} lies outside {} bytes",
            self.len
        );
        // SAFETY: start is within the mapping, as just asserted, and a mapping is one allocation.
        unsafe { self.base.as_ptr().add(start) }
    }

    /// Gives `len` bytes at `offset` back to the system: they read as zero and cost nothing until written again.
    pub(super) fn release(&mut self, offset: u64, len: usize) {
        let start = offset as usize;
        let inner_start = start.next_multiple_of(PAGE);
        let inner_end = (start + len) / PAGE * PAGE;
        if inner_start >= inner_end {
            return self.zero(offset, len);
        }
        self.zero(offset, inner_start - start);
        self.zero(inner_end as u64, start + len - inner_end);
        let is_anonymous = matches!(self.backing, Backing::Anonymous);
        let inner = self.at(inner_start as u64, inner_end - inner_start);
        if !is_anonymous || !sys::discard(inner, inner_end - inner_start) {
            self.zero(inner_start as u64, inner_end - inner_start);
        }
    }

    /// Says which pages the system should use for what is first written from here on.
    pub(super) fn prefer_large_pages(&mut self, large: bool) {
        sys::prefer_large_pages(self.base.as_ptr(), self.len, large);
    }

    fn zero(&mut self, offset: u64, len: usize) {
        let at = self.at(offset, len);
        // SAFETY: `at` checked that the bytes lie inside the mapping, which is writable.
        unsafe { at.write_bytes(0, len) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        sys::unmap(self.base.as_ptr(), self.len);
    }
}

const PAGE: usize = 4096;

/// The system's calls. Sizes are whole pages.
#[cfg(not(miri))]
mod sys {
    use core::ptr;

    pub(super) fn map(len: usize) -> Option<*mut u8> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping at an address of the system's choice touches nothing of ours.
        let at =
            unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        (at != libc::MAP_FAILED).then_some(at.cast())
    }

    pub(super) fn remap(base: *mut u8, old: usize, new: usize, may_move: bool) -> Option<*mut u8> {
        let flags = if may_move { libc::MREMAP_MAYMOVE } else { 0 };
        // SAFETY: `base` and `old` are a whole mapping of ours; it moves only if nobody holds an address in it.
        let at = unsafe { libc::mremap(base.cast(), old, new, flags) };
        (at != libc::MAP_FAILED).then_some(at.cast())
    }

    pub(super) fn discard(at: *mut u8, len: usize) -> bool {
        // SAFETY: whole pages of a private anonymous mapping of ours; they read as zero afterwards.
        unsafe { libc::madvise(at.cast(), len, libc::MADV_DONTNEED) == 0 }
    }

    pub(super) fn prefer_large_pages(base: *mut u8, len: usize, large: bool) {
        let advice = if large { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
        // SAFETY: a whole mapping of ours; the advice changes no byte of it. A kernel without large pages refuses.
        unsafe { libc::madvise(base.cast(), len, advice) };
    }

    pub(super) fn unmap(base: *mut u8, len: usize) {
        // SAFETY: a whole mapping of ours, which nobody uses any more. It cannot fail for one.
        unsafe { libc::munmap(base.cast(), len) };
    }
}

/// The same over the allocator, so that Miri can follow every access.
#[cfg(miri)]
mod sys {
    use super::PAGE;
    use std::alloc::{Layout, alloc_zeroed, dealloc};

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, PAGE).unwrap()
    }

    pub(super) fn map(len: usize) -> Option<*mut u8> {
        // SAFETY: the length is at least a page.
        Some(unsafe { alloc_zeroed(layout(len)) })
    }

    pub(super) fn remap(base: *mut u8, old: usize, new: usize, may_move: bool) -> Option<*mut u8> {
        if !may_move {
            return None;
        }
        let at = map(new)?;
        // SAFETY: two distinct allocations, the new one no shorter than the old.
        unsafe { at.copy_from_nonoverlapping(base, old) };
        unmap(base, old);
        Some(at)
    }

    pub(super) fn discard(_at: *mut u8, _len: usize) -> bool {
        false
    }

    pub(super) fn prefer_large_pages(_base: *mut u8, _len: usize, _large: bool) {}

    pub(super) fn unmap(base: *mut u8, len: usize) {
        // SAFETY: nothing is shared here, so `base` came from `map` with this length.
        unsafe { dealloc(base, layout(len)) };
    }
}

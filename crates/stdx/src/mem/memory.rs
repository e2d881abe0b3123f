//! A shard's table of regions, the copies between them, and its I/O buffers.

use super::buffers::{Buffers, LARGEST, LONG};
use super::pools::Pools;
use super::region::Region;
use super::{Pinned, RegionId, Share, Span, cache};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use thiserror::Error;

/// The regions of one shard. It belongs to the shard's [`Env`](crate::env::Env).
#[derive(Debug)]
pub struct Memory {
    identity: u64,
    regions: Vec<Option<Entry>>,
    buffers: Buffers,
    pub(super) pools: Pools,
    /// Bytes that were ever copied into regions.
    pub(super) copied: u64,
    /// What tells nanoseconds, if anything does.
    pub(super) clock: Option<fn() -> u64>,
    /// Who reads published memory shares no cache with this processor.
    pub(super) are_readers_far: bool,
    /// What was copied past the cache may yet be seen after what is written next.
    pub(super) is_unordered: bool,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    region: Region,
    /// Spans of it that are pinned: while there are any, the mapping stays where it is.
    pins: u32,
    /// Given back while pinned; it goes with the last pin.
    unmapped: bool,
    /// Tells it from every other that any memory of this process has or had.
    serial: u64,
}

/// Who may write a region's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// This shard's thread alone, through [`Memory`]: its bytes may be looked at in place.
    Private,
    /// Also the kernel or a peer, at any moment: its bytes are copied in and out.
    Shared,
    /// As [`Kind::Shared`], and other processes that a device of this one is connected with may read all of it, for as long
    /// as they like: what moves to them from here moves by one copy. Nothing else belongs into it. Where the system cannot
    /// do that it is as [`Kind::Shared`].
    Published,
    /// Another process's, which alone writes it, at any moment: copied out, never written. See [`Memory::attach`].
    Foreign,
}

/// How much memory a shard may map.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    /// Address space of the I/O buffers, in bytes. Paid for only as far as buffers are used at once.
    pub buffer_bytes: usize,
}

/// The system refused to map memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the system has no {bytes} bytes of memory to map")]
pub struct OutOfMemory {
    /// What was asked for.
    pub bytes: u64,
}

impl Memory {
    /// A table with nothing but its I/O buffers.
    pub fn new(limits: MemoryLimits) -> Result<Self, OutOfMemory> {
        let mut memory = Self {
            identity: IDENTITIES.fetch_add(1, Ordering::Relaxed),
            regions: Vec::new(),
            buffers: Buffers::new(BUFFERS, limits.buffer_bytes),
            pools: Pools::default(),
            copied: 0,
            clock: None,
            are_readers_far: false,
            is_unordered: false,
        };
        memory.map(Kind::Shared, limits.buffer_bytes as u64)?;
        Ok(memory)
    }

    /// Maps `len` bytes of zeros; they cost memory only once written.
    pub fn map(&mut self, kind: Kind, len: u64) -> Result<RegionId, OutOfMemory> {
        let out_of_memory = OutOfMemory { bytes: len };
        let bytes = usize::try_from(len).map_err(|_| out_of_memory)?;
        let region = match kind {
            Kind::Private | Kind::Shared => Region::map(bytes),
            Kind::Published => Region::publish(bytes).or_else(|| Region::map(bytes)),
            Kind::Foreign => None,
        };
        Ok(self.insert(kind, region.ok_or(out_of_memory)?))
    }

    /// Maps what another process has published, to be read.
    pub fn attach(&mut self, share: &Share) -> Result<RegionId, OutOfMemory> {
        let region = Region::attach(share).ok_or(OutOfMemory { bytes: share.len() })?;
        Ok(self.insert(Kind::Foreign, region))
    }

    /// What another process needs to read a region; `None` if it is not published, or not there.
    pub fn share(&self, id: RegionId) -> Option<&Share> {
        self.entry_if_mapped(id)?.region.share()
    }

    /// A number that no other region of this process has or had; `None` if the region is not there.
    pub fn serial(&self, id: RegionId) -> Option<u64> {
        self.entry_if_mapped(id).map(|entry| entry.serial)
    }

    fn insert(&mut self, kind: Kind, region: Region) -> RegionId {
        let index = match self.regions.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                self.regions.push(None);
                self.regions.len() - 1
            }
        };
        let serial = SERIALS.fetch_add(1, Ordering::Relaxed);
        self.regions[index] = Some(Entry { kind, region, pins: 0, unmapped: false, serial });
        RegionId(index as u32)
    }

    /// Gives a region back. Its spans are void from here on; what is pinned goes when it is unpinned.
    pub fn unmap(&mut self, id: RegionId) {
        let place = &mut self.regions[id.0 as usize];
        match place {
            Some(entry) if entry.pins > 0 => entry.unmapped = true,
            _ => *place = None,
        }
    }

    /// Makes a region at least `len` bytes long; what was there stays. A pinned one grows only where there is room behind
    /// it.
    pub fn grow(&mut self, id: RegionId, len: u64) -> Result<(), OutOfMemory> {
        let wanted = usize::try_from(len).map_err(|_| OutOfMemory { bytes: len })?;
        let entry = self.entry_mut(id);
        if entry.region.grow(wanted, entry.pins == 0) { Ok(()) } else { Err(OutOfMemory { bytes: len }) }
    }

    /// The whole of a region, or as much as one span can name (4 GiB - 1).
    #[inline]
    pub fn whole(&self, id: RegionId) -> Span {
        let len = self.region(id).len().min(u32::MAX as usize) as u32;
        Span { region: id, len, offset: 0 }
    }

    /// Bytes of a region.
    pub fn region_len(&self, id: RegionId) -> u64 {
        self.region(id).len() as u64
    }

    /// Copies `src` to the start of `dst`, which is as long or longer.
    #[inline]
    pub fn write(&mut self, dst: Span, src: &[u8]) {
        let at = self.at_to_write(dst.first(src.len()));
        self.copied += src.len() as u64;
        // SAFETY: `at` checked that the bytes lie in a live mapping. `src` cannot overlap them: a slice of a private
        // region borrows `self`, and shared ones are never lent.
        unsafe { at.copy_from_nonoverlapping(src.as_ptr(), src.len()) }
    }

    /// Copies the first bytes of `src` out, as many as `dst` has.
    #[inline]
    pub fn read(&self, src: Span, dst: &mut [u8]) {
        let at = self.at(src.first(dst.len()));
        // SAFETY: as in `write`. Someone may be writing a shared region; then the copy holds old or new bytes.
        unsafe { dst.as_mut_ptr().copy_from_nonoverlapping(at, dst.len()) }
    }

    /// The number of four bytes, on a multiple of four, that others may write: what they wrote before it can be seen, too.
    #[inline]
    pub fn load(&self, at: Span) -> u32 {
        let place = self.number(at);
        // SAFETY: four aligned bytes of a live mapping, which those who write them at the same time write as a whole.
        unsafe { AtomicU32::from_ptr(place) }.load(Ordering::Acquire)
    }

    /// Makes four bytes, on a multiple of four, a number: who sees it sees what was written before it, too.
    #[inline]
    pub fn store(&mut self, at: Span, number: u32) {
        assert_ne!(self.kind(at.region), Kind::Foreign, "another process's memory is not written");
        if core::mem::take(&mut self.is_unordered) {
            cache::fence();
        }
        let place = self.number(at);
        // SAFETY: four aligned bytes of a live mapping that may be written; others only read them.
        unsafe { AtomicU32::from_ptr(place) }.store(number, Ordering::Release);
    }

    /// Sets every bit of `dst` that is set in `src`, which is as long.
    pub fn or(&mut self, dst: Span, src: Span) {
        assert_eq!(dst.len, src.len, "spans of one length");
        let (mut left, mut right) = ([0; CHUNK], [0; CHUNK]);
        for (start, len) in chunks(dst.len()) {
            self.read(dst.slice(start, len), &mut left[..len]);
            self.read(src.slice(start, len), &mut right[..len]);
            left[..len].iter_mut().zip(&right).for_each(|(bits, more)| *bits |= more);
            self.write(dst.slice(start, len), &left[..len]);
        }
    }

    /// Sets every byte of `dst` to `value`.
    pub fn fill(&mut self, dst: Span, value: u8) {
        let at = self.at_to_write(dst);
        // SAFETY: checked to lie in a live mapping.
        unsafe { at.write_bytes(value, dst.len()) }
    }

    /// Makes `len` bytes at `offset` zero and gives their whole pages back to the system.
    pub fn release(&mut self, id: RegionId, offset: u64, len: u64) {
        assert_ne!(self.kind(id), Kind::Foreign, "another process's memory is not written");
        let region = self.region_mut(id);
        let len = usize::try_from(len).expect("a length fits the address space");
        region.at(offset, len);
        region.release(offset, len);
    }

    /// From here on what is first written of a region is to lie in large pages, or in small ones. A wish: the system does
    /// what it can, and no byte changes.
    pub fn prefer_large_pages(&mut self, id: RegionId, large: bool) {
        self.region_mut(id).prefer_large_pages(large);
    }

    /// Where `a` and `b`, equally long, first differ; `None` if they are equal.
    pub fn first_difference(&self, a: Span, b: Span) -> Option<usize> {
        assert_eq!(a.len, b.len, "spans of one length");
        let (mut left, mut right) = ([0; CHUNK], [0; CHUNK]);
        chunks(a.len()).find_map(|(start, len)| {
            self.read(a.slice(start, len), &mut left[..len]);
            self.read(b.slice(start, len), &mut right[..len]);
            if left[..len] == right[..len] {
                return None;
            }
            left.iter().zip(&right).position(|(l, r)| l != r).map(|at| start + at)
        })
    }

    /// True if every byte is zero.
    pub fn is_zero(&self, span: Span) -> bool {
        let mut bytes = [0; CHUNK];
        chunks(span.len()).all(|(start, len)| {
            self.read(span.slice(start, len), &mut bytes[..len]);
            bytes[..len].iter().all(|&byte| byte == 0)
        })
    }

    /// CRC32C of the bytes, continued from `crc` (0 to start).
    pub fn crc32c(&self, mut crc: u32, span: Span) -> u32 {
        self.look(span, |bytes| crc = crc32c::crc32c_append(crc, bytes));
        crc
    }

    /// Shows the bytes, in order, as copies of a few thousand at a time.
    pub fn look(&self, span: Span, mut at: impl FnMut(&[u8])) {
        let mut bytes = MaybeUninit::<[u8; CHUNK]>::uninit();
        for (start, len) in chunks(span.len()) {
            let from = self.at(span.slice(start, len));
            // SAFETY: the copy stays within the chunk, as `len` does, and reads as in `read`; so many bytes are then written.
            let copy = unsafe {
                bytes.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(from, len);
                core::slice::from_raw_parts(bytes.as_ptr().cast::<u8>(), len)
            };
            at(copy);
        }
    }

    /// The bytes of a private region. Panics on a shared one.
    pub fn bytes(&self, span: Span) -> &[u8] {
        self.assert_private(span);
        // SAFETY: checked to lie in a live mapping; private regions are written only through `&mut self`.
        unsafe { core::slice::from_raw_parts(self.at(span), span.len()) }
    }

    /// The bytes of a private region, to write. Panics on a shared one.
    pub fn bytes_mut(&mut self, span: Span) -> &mut [u8] {
        self.assert_private(span);
        // SAFETY: as in `bytes`; `&mut self` makes this the only view.
        unsafe { core::slice::from_raw_parts_mut(self.at(span), span.len()) }
    }

    /// The longest I/O buffer that can be taken while none is: at least [`Memory::BUFFER_MAX`] if there is memory for it.
    pub fn buffer_len_max(&self) -> usize {
        self.buffers.len_max()
    }

    /// Takes an I/O buffer (a shared region) of `len` bytes, at most [`Memory::buffer_len_max`]; `None` while all are in
    /// use, or if none is that large. Buffers of 4 KiB and more are page-aligned. What is in it is left over.
    pub fn take(&mut self, len: usize) -> Option<Span> {
        self.buffers.take(len)
    }

    /// Gives a buffer back: the span that [`Memory::take`] or [`Memory::take_from`] gave, or a part that begins where it
    /// began.
    pub fn give(&mut self, buffer: Span) {
        if buffer.region == BUFFERS { self.buffers.give(buffer) } else { self.give_to_pool(buffer) }
    }

    /// Whether a buffer has come back, since this was last asked, of a length that had been asked for in vain: those who wait
    /// for one may have it now.
    pub const fn take_relief(&mut self) -> bool {
        self.buffers.take_relief()
    }

    /// How many I/O buffers are out.
    pub fn buffers_taken(&self) -> usize {
        self.buffers.taken() + self.pools.taken()
    }

    /// Bytes that were ever copied into regions: so tests tell how often what they move is copied.
    pub const fn bytes_copied(&self) -> u64 {
        self.copied
    }

    /// The longest I/O buffer, in bytes.
    pub const BUFFER_MAX: usize = LARGEST as usize;

    /// The longest I/O buffer where memory is plenty, in bytes: see [`Memory::buffer_len_max`].
    pub const BUFFER_LONG: usize = LONG as usize;

    /// The address of a span, for a system call that moves bytes now (sockets). Valid until the region is grown or
    /// unmapped.
    /// Another process's memory can only be read there.
    pub fn address(&self, span: Span) -> *mut u8 {
        self.at(span)
    }

    /// Holds a span of a shared region in place for someone who moves its bytes later (the kernel, for a file), until
    /// [`Memory::unpin`]. Panics on a private region: that may only change through `&mut Memory`.
    pub fn pin(&mut self, span: Span) -> Pinned {
        let address = self.at(span);
        if !span.is_empty() {
            assert!(
                matches!(self.kind(span.region), Kind::Shared | Kind::Published),
                "only shared memory may be written behind our back"
            );
            self.entry_mut(span.region).pins += 1;
        }
        Pinned { address, span, memory: self.identity }
    }

    /// Lets a span go.
    pub fn unpin(&mut self, pinned: Pinned) {
        // The memory it came from was exchanged for another, and keeps what is pinned for ever.
        if pinned.memory != self.identity || pinned.span.is_empty() {
            return;
        }
        let place = &mut self.regions[pinned.span.region.0 as usize];
        let entry = place.as_mut().expect("a pinned region stays");
        entry.pins -= 1;
        if entry.pins == 0 && entry.unmapped {
            *place = None;
        }
    }

    #[inline]
    pub(super) fn at(&self, span: Span) -> *mut u8 {
        if span.is_empty() {
            return core::ptr::NonNull::dangling().as_ptr();
        }
        self.region(span.region).at(span.offset, span.len())
    }

    /// The same, for bytes that are to be written.
    #[inline]
    pub(super) fn at_to_write(&self, span: Span) -> *mut u8 {
        if span.is_empty() {
            return core::ptr::NonNull::dangling().as_ptr();
        }
        let entry = self.entry(span.region);
        assert_ne!(entry.kind, Kind::Foreign, "another process's memory is not written");
        entry.region.at(span.offset, span.len())
    }

    /// Where a number of four bytes lies.
    #[inline]
    fn number(&self, at: Span) -> *mut u32 {
        let place = self.at(at.first(size_of::<u32>())).cast::<u32>();
        assert!(place.is_aligned(), "a number on a multiple of its size");
        place
    }

    fn assert_private(&self, span: Span) {
        assert!(
            span.is_empty() || self.kind(span.region) == Kind::Private,
            "shared memory is copied, not lent"
        );
    }

    #[inline]
    pub(super) fn kind(&self, id: RegionId) -> Kind {
        self.entry(id).kind
    }

    #[inline]
    fn region(&self, id: RegionId) -> &Region {
        &self.entry(id).region
    }

    #[inline]
    fn entry(&self, id: RegionId) -> &Entry {
        let entry = self.regions[id.0 as usize].as_ref();
        entry.filter(|entry| !entry.unmapped).expect("a mapped region")
    }

    fn entry_if_mapped(&self, id: RegionId) -> Option<&Entry> {
        self.regions.get(id.0 as usize)?.as_ref().filter(|entry| !entry.unmapped)
    }

    fn region_mut(&mut self, id: RegionId) -> &mut Region {
        &mut self.entry_mut(id).region
    }

    fn entry_mut(&mut self, id: RegionId) -> &mut Entry {
        let entry = self.regions[id.0 as usize].as_mut();
        entry.filter(|entry| !entry.unmapped).expect("a mapped region")
    }
}

impl Drop for Memory {
    /// What is pinned stays mapped for ever: who moves its bytes does not know that we are gone.
    fn drop(&mut self) {
        for entry in self.regions.drain(..).flatten().filter(|entry| entry.pins > 0) {
            core::mem::forget(entry.region);
        }
    }
}

/// The region of the shard's own buffers: the first that it maps.
const BUFFERS: RegionId = RegionId(0);

/// Tells one memory's pins from another's.
static IDENTITIES: AtomicU64 = AtomicU64::new(0);

/// Tells one region from another at the same place.
static SERIALS: AtomicU64 = AtomicU64::new(0);

/// `len` bytes in steps of at most [`CHUNK`]: (start, length).
fn chunks(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len).step_by(CHUNK).map(move |start| (start, CHUNK.min(len - start)))
}

/// How much of shared memory is looked at in one copy, in bytes.
const CHUNK: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::ShareError;

    fn memory() -> Memory {
        Memory::new(MemoryLimits { buffer_bytes: 20 << 20 }).unwrap()
    }

    #[test]
    fn copies_move_bytes_between_regions() {
        let mut memory = memory();
        let private = memory.map(Kind::Private, 10_000).unwrap();
        let buffer = memory.take(6000).unwrap();
        memory.fill(memory.whole(private), 7);
        memory.copy(buffer, memory.whole(private).first(6000));
        memory.write(buffer.slice(5000, 3), b"abc");
        let mut out = [0; 4];
        memory.read(buffer.slice(4999, 4), &mut out);
        assert_eq!(&out, b"\x07abc");
        assert_eq!(memory.first_difference(buffer, memory.whole(private).first(6000)), Some(5000));
        assert_eq!(
            memory.crc32c(0, buffer),
            crc32c::crc32c(&{
                let mut bytes = vec![0; 6000];
                memory.read(buffer, &mut bytes);
                bytes
            })
        );
        memory.give(buffer);
        assert_eq!(memory.buffers_taken(), 0);
    }

    #[test]
    fn bits_are_set_and_none_cleared() {
        let mut memory = memory();
        let (dst, src) = (memory.take(5000).unwrap(), memory.take(5000).unwrap());
        memory.fill(dst, 0x81);
        memory.fill(src, 0);
        memory.write(src.from(4997), &[0x0f, 0x80, 0xff]);
        memory.or(dst, src);
        let mut out = [0; 4];
        memory.read(dst.from(4996), &mut out);
        assert_eq!(out, [0x81, 0x8f, 0x81, 0xff]);
        assert_eq!(memory.first_difference(dst.first(4997), dst.slice(1, 4997)), Some(4996));
    }

    #[test]
    fn growing_keeps_and_releasing_zeroes() {
        let mut memory = memory();
        let id = memory.map(Kind::Shared, 8192).unwrap();
        memory.fill(memory.whole(id), 1);
        memory.grow(id, 1 << 16).unwrap();
        memory.release(id, 100, 8000);
        let whole = memory.whole(id);
        assert!(memory.is_zero(whole.slice(100, 8000)));
        assert!(!memory.is_zero(whole.first(100)));
        assert!(!memory.is_zero(whole.slice(8100, 92)));
        assert!(memory.is_zero(whole.from(8192)));
    }

    #[test]
    fn buffers_are_page_aligned() {
        let mut memory = Memory::new(MemoryLimits { buffer_bytes: (20 << 20) + 4095 }).unwrap();
        for len in [1, 4096, 4097, 60_000, 200_000, Memory::BUFFER_MAX] {
            let buffer = memory.take(len).unwrap();
            assert!(buffer.offset.is_multiple_of(4096), "{buffer:?}");
        }
    }

    #[test]
    fn buffers_run_out_and_come_back() {
        let mut memory = memory();
        let all: Vec<_> = core::iter::from_fn(|| memory.take(Memory::BUFFER_MAX)).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(memory.take(Memory::BUFFER_MAX), None);
        assert!(memory.take(1).is_some());
        all.into_iter().for_each(|buffer| memory.give(buffer));
        assert!(memory.take(Memory::BUFFER_MAX).is_some());
    }

    #[test]
    fn long_buffers_need_room() {
        assert_eq!(memory().buffer_len_max(), Memory::BUFFER_MAX);
        let mut memory = Memory::new(MemoryLimits { buffer_bytes: 256 << 20 }).unwrap();
        assert_eq!(memory.buffer_len_max(), Memory::BUFFER_LONG);
        let buffer = memory.take(Memory::BUFFER_LONG).unwrap();
        assert!(buffer.offset.is_multiple_of(4096) && memory.take(Memory::BUFFER_LONG + 1).is_none());
        memory.give(buffer);
    }

    #[test]
    #[should_panic(expected = "given back before")]
    fn giving_twice_is_caught() {
        let mut memory = memory();
        let buffer = memory.take(100).unwrap();
        memory.give(buffer);
        memory.give(buffer);
    }

    #[test]
    #[should_panic(expected = "copied, not lent")]
    fn shared_memory_is_not_lent() {
        let mut memory = memory();
        let buffer = memory.take(100).unwrap();
        memory.bytes(buffer);
    }

    #[test]
    #[should_panic(expected = "lies outside")]
    fn a_span_past_the_end_is_caught() {
        let mut memory = memory();
        let id = memory.map(Kind::Private, 4096).unwrap();
        let span = Span { len: 2, offset: 4095, ..memory.whole(id) };
        memory.bytes(span);
    }

    #[test]
    fn what_is_pinned_outlives_its_region() {
        let mut memory = memory();
        let id = memory.map(Kind::Shared, 4096).unwrap();
        let pinned = memory.pin(memory.whole(id));
        memory.unmap(id);
        assert_ne!(memory.map(Kind::Shared, 4096).unwrap(), id, "the place is still taken");
        // SAFETY: the pinned bytes are still mapped, which is what this test is about; Miri would tell otherwise.
        unsafe { pinned.address().write_bytes(1, pinned.len()) };
        memory.unpin(pinned);
        assert_eq!(memory.map(Kind::Shared, 4096).unwrap(), id, "the place is free");
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows no files without a name")]
    fn what_is_published_is_read_by_others() {
        let (mut owner, mut reader) = (memory(), memory());
        let id = owner.map(Kind::Published, 10_000).unwrap();
        let share = owner.share(id).unwrap().clone();
        let again = Share::from_descriptor(share.descriptor().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(again.len(), 12_288, "whole pages");
        let seen = reader.attach(&again).unwrap();
        owner.write(owner.whole(id).from(100), b"hello");
        owner.store(owner.whole(id).from(96), 7);
        let mut out = [0; 5];
        reader.read(reader.whole(seen).from(100), &mut out);
        assert_eq!((&out, reader.load(reader.whole(seen).from(96))), (b"hello", 7));
        owner.unmap(id);
        assert!(owner.share(id).is_none() && owner.serial(id).is_none());
        assert_eq!(reader.load(reader.whole(seen).from(96)), 7, "the reader's mapping stays");
        assert!(reader.grow(seen, 1 << 20).is_err());
        let other = owner.map(Kind::Published, 4096).unwrap();
        owner.fill(owner.whole(other), 3);
        owner.release(other, 0, 4096);
        assert!(owner.is_zero(owner.whole(other)) && owner.grow(other, 8192).is_err());
        assert!(owner.share(RegionId(0)).is_none(), "buffers are not published");
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows no files without a name")]
    #[should_panic(expected = "is not written")]
    fn another_processs_memory_is_not_written() {
        let (mut owner, mut reader) = (memory(), memory());
        let id = owner.map(Kind::Published, 4096).unwrap();
        let seen = reader.attach(owner.share(id).unwrap()).unwrap();
        reader.write(reader.whole(seen), b"no");
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no such files")]
    fn what_is_not_sealed_is_not_taken() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(Share::from_descriptor(file.into()).unwrap_err(), ShareError::NotSealed);
    }

    #[test]
    fn what_is_pinned_does_not_move() {
        let mut memory = memory();
        let id = memory.map(Kind::Shared, 4096).unwrap();
        let pinned = memory.pin(memory.whole(id));
        let grown = memory.grow(id, 1 << 30);
        assert_eq!(memory.address(memory.whole(id).first(4096)), pinned.address(), "{grown:?}");
        memory.unpin(pinned);
    }

    #[test]
    #[cfg_attr(miri, ignore = "the memory stays mapped for ever, as it should, and Miri calls that a leak")]
    fn a_pin_of_an_exchanged_memory_stays() {
        let mut shard = memory();
        let buffer = shard.take(4096).unwrap();
        let pinned = shard.pin(buffer);
        shard = memory();
        // SAFETY: dropping the memory must have left the pinned bytes mapped.
        unsafe { pinned.address().write_bytes(1, pinned.len()) };
        shard.unpin(pinned);
    }

    #[test]
    fn an_unmapped_region_is_not_reached_though_it_is_pinned() {
        let mut memory = memory();
        let id = memory.map(Kind::Shared, 4096).unwrap();
        let span = memory.whole(id);
        let pinned = memory.pin(span);
        memory.unmap(id);
        let reached = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| memory.is_zero(span)));
        assert!(reached.is_err());
        memory.unpin(pinned);
    }
}

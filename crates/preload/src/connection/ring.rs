//! The bytes of a carried connection, in the memory that both ends share.
//!
//! [`carrier`] says where bytes go and who sleeps. Here they are copied, one thread and process at a time for each direction.
//!
//! Both ends' places in the stream are those of the row, which forked processes share and the peer cannot reach.

use super::receive::Request;
use super::{Connection, transmit::Source};
use crate::memory::Memory;
use crate::{errno, next, pace, process};
use carrier::{End, Reader, UNREAD_MAX, Writer};
use launch::page::Phase;
use libc::{MSG_PEEK, c_int};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The peer's end of the bell is closed.
pub(super) const GONE: u32 = 1;
/// The program wants no call on it to wait.
pub(super) const NON_BLOCKING: u32 = 2;
/// The program said that it reads no more.
pub(super) const READ_SHUT: u32 = 4;
/// The peer went before it had read everything, which the program has to hear of as TCP would say it.
pub(super) const RESET: u32 = 8;

/// We gave our end away: whoever got it reads TCP.
pub(super) const GIVEN: u32 = 16;
/// The peer gave its end away, as was found after bytes were put there.
pub(super) const RETURNED: u32 = 32;

/// The peer has taken back bytes, and sends them by TCP.
pub(super) const RESENT: u32 = 2048;

/// The peer is on another host: a relay stands for it.
pub(super) const RELAYED: u32 = 64;
/// The relay said that the peer is gone.
pub(super) const FAREWELL: u32 = 128;
/// The relay went without a word, with bytes on their way.
pub(super) const BROKEN: u32 = 256;

/// Where both ends are was found out, and they may meet.
pub(super) const PLACED: u32 = 512;
/// Its ends have no network namespace in common, and meet in the directory.
pub(super) const SHARED: u32 = 1024;

/// What came of a look for bytes, or of putting some.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moved {
    /// So many bytes.
    Bytes(usize),
    /// Nothing is there, or there is no room.
    Nothing,
    /// This direction has ended, and nothing is left of it.
    Over,
    /// What the bytes were to come from failed.
    Failed(c_int),
    /// The thread that was interrupted holds what is needed.
    Busy,
}

impl Connection {
    fn side(self) -> End {
        if self.row.is_client.load(Ordering::Relaxed) == 1 { End::Client } else { End::Server }
    }

    pub(super) fn memory(self) -> Option<Memory> {
        Memory::from_base(self.own.memory.load(Ordering::Acquire))
    }

    pub(super) fn has_flag(self, flag: u32) -> bool {
        self.row.flags.load(Ordering::Relaxed) & flag != 0
    }

    pub(super) fn set_flag(self, flag: u32, is_set: bool) {
        if is_set {
            self.row.flags.fetch_or(flag, Ordering::Relaxed);
        } else {
            self.row.flags.fetch_and(!flag, Ordering::Relaxed);
        }
    }

    /// Held by whoever reads, or changes how bytes are received. Nobody waits for it long: who has it waits for nothing.
    pub(super) fn guard(self) -> Option<Guard> {
        let guard = Guard::take(&self.row.lock)?;
        if guard.is_inherited {
            let published = self.with_reader_guarded(|reader, _| reader.published());
            catch_up(&self.row.received, published);
        }
        Some(guard)
    }

    /// Held by whoever puts bytes into the memory, or changes how bytes are sent.
    pub(super) fn sending(self) -> Option<Guard> {
        let guard = Guard::take(&self.row.sending)?;
        if guard.is_inherited {
            let published = self.with_writer_guarded(|writer, _| writer.published());
            catch_up(&self.row.sent, published);
        }
        Some(guard)
    }

    /// A look at what there is to read. The memory stays while it is guarded.
    pub(super) fn with_reader<R>(self, work: impl FnOnce(Reader<'_>, *mut u8) -> R) -> Option<R> {
        let _guard = self.guard()?;
        self.with_reader_guarded(work)
    }

    /// The same, for who keeps the memory there: by the guard, or by the registry's lock.
    pub(super) fn with_reader_guarded<R>(self, work: impl FnOnce(Reader<'_>, *mut u8) -> R) -> Option<R> {
        let memory = self.memory()?;
        // SAFETY: it is unmapped only by who has both guards, after the registry has forgotten the connection.
        let words = unsafe { memory.words() };
        Some(work(words.reader(self.side(), self.row.received.load(Ordering::Relaxed)), memory.base()))
    }

    pub(super) fn with_writer<R>(self, work: impl FnOnce(Writer<'_>, *mut u8) -> R) -> Option<R> {
        let _guard = self.sending()?;
        self.with_writer_guarded(work)
    }

    /// As [`Connection::with_reader_guarded`].
    pub(super) fn with_writer_guarded<R>(self, work: impl FnOnce(Writer<'_>, *mut u8) -> R) -> Option<R> {
        let memory = self.memory()?;
        // SAFETY: as above.
        let words = unsafe { memory.words() };
        Some(work(words.writer(self.side(), self.row.sent.load(Ordering::Relaxed)), memory.base()))
    }

    /// Takes what is there, up to what is asked for.
    pub(super) fn get(self, request: &Request, skip: usize) -> Moved {
        let Some(_guard) = self.guard() else { return Moved::Busy };
        let got = self.with_reader_guarded(|reader, base| self.copy_out(reader, base, request, skip));
        let Some(Moved::Nothing) = got else { return got.unwrap_or(Moved::Over) };
        let is_ended = self.with_reader_guarded(|reader, _| reader.is_ended()).unwrap_or(true);
        if !is_ended && !self.has_flag(GONE) {
            return Moved::Nothing;
        }
        // What came before the end was said may have come after the look.
        let last = self.with_reader_guarded(|reader, base| self.copy_out(reader, base, request, skip));
        match last {
            Some(Moved::Nothing) | None => {
                let unread = self.with_writer_guarded(|writer, _| writer.unread()).unwrap_or(0);
                let is_reset = !is_ended && self.has_flag(GONE) && unread > 0;
                self.set_flag(RESET, is_reset || self.has_flag(BROKEN));
                self.note_rest();
                Moved::Over
            }
            Some(moved) => moved,
        }
    }

    /// Is what is left coming by TCP? For who has found that nothing is left here.
    pub(super) fn note_rest(self) {
        let is_elsewhere = self.with_reader_guarded(|reader, _| reader.is_rest_elsewhere());
        self.set_flag(RESENT, is_elsewhere == Some(true) && !self.is_relayed());
    }

    fn copy_out(self, mut reader: Reader<'_>, base: *mut u8, request: &Request, skip: usize) -> Moved {
        if reader.check().is_err() {
            return Moved::Failed(libc::ECONNRESET);
        }
        let is_taken = request.flags() & MSG_PEEK == 0;
        let wanted = request.len() - skip;
        let (mut done, mut wakes) = (0, false);
        while done < wanted {
            let span = reader.filled((wanted - done).min(PIECE));
            if span.len == 0 {
                break;
            }
            // SAFETY: spans lie within the memory, which stays while it is guarded.
            unsafe { request.fill(skip + done, base.add(span.offset), span.len) };
            reader.advance(span.len);
            if is_taken {
                // What the peer has taken back comes by TCP.
                let Ok(is_awaited) = reader.publish() else { break };
                wakes |= is_awaited;
                self.row.received.store(reader.place(), Ordering::Relaxed);
            }
            done += span.len;
        }
        if is_taken && done > 0 {
            self.count_received();
        }
        if wakes {
            self.ring_bell();
        }
        if done > 0 { Moved::Bytes(done) } else { Moved::Nothing }
    }

    /// Puts as much as there is room for.
    pub(super) fn put(self, source: &mut Source<'_>) -> Moved {
        if self.has_flag(GONE) {
            return Moved::Over;
        }
        self.with_writer_locked(|writer, base| self.copy_in(writer, base, source))
    }

    fn with_writer_locked(self, work: impl FnOnce(Writer<'_>, *mut u8) -> Moved) -> Moved {
        let Some(_guard) = self.sending() else { return Moved::Busy };
        // The way may have changed before we had the guard.
        if !self.sends_by_carrier() {
            return Moved::Over;
        }
        self.with_writer_guarded(work).unwrap_or(Moved::Over)
    }

    fn copy_in(self, mut writer: Writer<'_>, base: *mut u8, source: &mut Source<'_>) -> Moved {
        if writer.is_closed() || writer.check().is_err() {
            return Moved::Over;
        }
        if writer.unread() > 0 && self.is_look_due() {
            self.hear_bell();
            if self.is_peer_gone() {
                return Moved::Over;
            }
        }
        let begun = writer.place();
        let mut error = None;
        while !source.is_done() {
            let span = writer.free(source.left());
            if span.len == 0 {
                break;
            }
            // SAFETY: spans lie within the memory, which stays while it is guarded.
            match unsafe { source.fill(base.add(span.offset), span.len.min(PIECE)) } {
                Ok(count) => writer.advance(count),
                Err(failed) => {
                    error = Some(failed);
                    break;
                }
            }
            if writer.publish() {
                self.ring_bell();
            }
            self.row.sent.store(writer.place(), Ordering::Relaxed);
        }
        let done = writer.place().wrapping_sub(begun) as usize;
        if writer.is_handed_over() {
            self.set_flag(RETURNED, true);
        }
        if done > 0 {
            self.count_sent();
        }
        match error {
            _ if done > 0 => Moved::Bytes(done),
            Some(error) => Moved::Failed(error),
            None => Moved::Nothing,
        }
    }

    /// A peer that has not read what it was sent is looked after at every tick of the kernel's clock: it may have been killed.
    fn is_look_due(self) -> bool {
        let now = pace::tick();
        self.own.looked_at.swap(now, Ordering::Relaxed) != now
    }

    /// Are there bytes to read, or has their end come?
    pub(super) fn has_bytes(self) -> bool {
        self.with_reader(|reader, _| reader.unread() > 0 || reader.is_ended()).unwrap_or(true)
            || self.has_flag(GONE | READ_SHUT)
    }

    /// Is what we receive the carrier's, and are so many bytes there?
    pub(super) fn holds(self, len: usize) -> bool {
        let is_there = || self.with_reader(|reader, _| reader.unread() >= len as u64);
        self.phase() == Phase::Met && self.is_read_by_carrier() && is_there() == Some(true)
    }

    /// Is there room to write, or nobody to write to?
    pub fn has_room(self) -> bool {
        self.has_flag(GONE)
            || self.with_writer(|writer, _| writer.has_room() || writer.is_closed()).unwrap_or(true)
    }

    /// As [`Connection::ask_to_ring`], for who does not have the registry's lock.
    pub fn ask_to_ring_guarded(self, for_bytes: bool, for_room: bool, is_wanted: bool) {
        let (_reading, _writing) = (self.guard(), self.sending());
        self.ask_to_ring(for_bytes, for_room, is_wanted);
    }

    /// Bytes that can be read.
    pub fn count_unread(self) -> u64 {
        let count = |reader: Reader<'_>, _| if reader.check().is_ok() { reader.unread() } else { 0 };
        self.with_reader(count).unwrap_or(0)
    }

    /// Bytes that the peer has not read.
    pub fn count_unsent(self) -> u64 {
        let count = |writer: Writer<'_>, _| if writer.check().is_ok() { writer.unread() } else { 0 };
        self.with_writer(count).unwrap_or(0)
    }

    /// The last of the program's descriptors goes: says so to the peer, unless another process goes on.
    pub(super) fn close_ring(self, fd: c_int, is_last: bool, is_forgotten: bool) {
        if self.memory().is_none() {
            return;
        }
        let (reading, writing) = (self.guard(), self.sending());
        if is_last {
            let (wakes_writer, unread) =
                self.with_reader_guarded(|reader, _| (reader.close(), reader.unread())).unwrap_or((false, 0));
            let wakes_reader = self.with_writer_guarded(|writer, _| writer.end()).unwrap_or(false);
            if wakes_writer || wakes_reader {
                self.ring_bell();
            }
            if unread > 0 && !self.has_flag(GONE | GIVEN) {
                reset_on_close(fd);
            }
        }
        // Who was interrupted in the middle of copying goes on copying.
        if reading.is_some() && writing.is_some() {
            let memory = self.own.memory.swap(null_mut(), Ordering::AcqRel);
            if !is_forgotten {
                self.own.left.store(memory, Ordering::Release);
            } else if let Some(memory) = Memory::from_base(memory) {
                // SAFETY: whoever uses it has one of the guards, or the registry's lock, which has no watch of this any more.
                unsafe { memory.unmap() };
            }
        }
    }

    /// The registry has forgotten it, after a signal's handler closed it: nobody looks at its memory any more.
    pub(super) fn leave_memory(self) {
        let memory = self.own.left.swap(null_mut(), Ordering::AcqRel);
        if let Some(memory) = Memory::from_base(memory) {
            // SAFETY: as above.
            unsafe { memory.unmap() };
        }
    }
}

/// As TCP would answer what is closed while bytes are unread.
fn reset_on_close(fd: c_int) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let len = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the value is there, as long as is said.
    unsafe { next::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), len) };
}

/// Whoever had the guard was killed, and may have told the peer of bytes before it told our own processes.
fn catch_up(place: &AtomicU64, published: Option<u64>) {
    let known = place.load(Ordering::Relaxed);
    // A peer that writes there what cannot be changes nothing.
    if let Some(published) = published.filter(|published| published.wrapping_sub(known) <= UNREAD_MAX) {
        place.store(published, Ordering::Relaxed);
    }
}

/// See [`Connection::guard`]. The word names the process that has it.
pub(super) struct Guard {
    word: &'static AtomicU32,
    /// It was that of a process that has died.
    is_inherited: bool,
}

impl Guard {
    fn take(word: &'static AtomicU32) -> Option<Guard> {
        let own = process::tag();
        for attempt in 0..GUARD_TRIES {
            if word.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Some(Guard { word, is_inherited: false });
            }
            if attempt < GUARD_LOOKS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let holder = word.load(Ordering::Relaxed);
        let is_inherited = errno::kept(|| process::has_died(holder))
            && word.compare_exchange(holder, own, Ordering::Acquire, Ordering::Relaxed).is_ok();
        is_inherited.then_some(Guard { word, is_inherited })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.word.store(0, Ordering::Release);
    }
}

/// A signal's handler may find it held by the call it interrupted.
const GUARD_TRIES: u32 = 10_000;
const GUARD_LOOKS: u32 = 50;
/// Bytes that are copied before the other end is told of them.
const PIECE: usize = 32 << 10;

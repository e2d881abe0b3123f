//! A peer that writes anything into the words of a shared stream, between looks of ours: every span lies within its rings, no loop goes
//! on for long, and what an honest peer writes comes whole and in order.
//!
//! The input is a list of steps of nine bytes: what is done, and a number. A first byte that is odd has the peer honest.
#![no_main]

use carrier::{End, HEADER_LEN, MEMORY_LEN, Shared, Span};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let mut ends = Ends {
        words: Shared::default(),
        bytes: vec![0; MEMORY_LEN],
        written: 0,
        read: 0,
        is_withdrawn: false,
    };
    let is_honest = first & 1 == 1;
    for step in rest.chunks_exact(9).take(STEPS_MAX) {
        let number = u64::from_le_bytes(step[1..].try_into().expect("eight bytes"));
        match step[0] % 8 {
            0..=2 => ends.write(number as usize % LEN_MAX, is_honest),
            3..=5 => ends.read(number as usize % LEN_MAX, is_honest),
            6 => ends.grow(),
            _ if is_honest => ends.withdraw(number as usize % LEN_MAX),
            _ => ends.lie(number, step[0]),
        }
    }
});

/// A direction: we are its writer and its reader, and a liar is either when it likes.
struct Ends {
    words: Shared,
    bytes: Vec<u8>,
    written: u64,
    read: u64,
    /// The writer has taken back what was not read.
    is_withdrawn: bool,
}

impl Ends {
    fn write(&mut self, len: usize, is_honest: bool) {
        if self.is_withdrawn {
            return;
        }
        let mut writer = self.words.writer(End::Client, self.written);
        if writer.check().is_err() {
            return assert!(!is_honest);
        }
        let mut done = 0;
        for _ in 0..SPANS_MAX {
            let span = inside(writer.free(len - done));
            if span.len == 0 {
                break;
            }
            for at in 0..span.len {
                self.bytes[span.offset + at] = byte(writer.place().wrapping_add(at as u64));
            }
            writer.advance(span.len);
            done += span.len;
        }
        let _ = writer.publish();
        self.written = writer.place();
    }

    /// An honest writer takes back what was not read, while the reader has copied some of it.
    fn withdraw(&mut self, copied: usize) {
        let mut reader = self.words.reader(End::Server, self.read);
        let len = reader.filled(copied).len;
        reader.advance(len);
        let mut writer = self.words.writer(End::Client, self.written);
        writer.withdraw();
        assert_eq!(writer.read(), self.read);
        let rest = writer.unread_by_reader();
        assert_eq!(rest.unread(), self.written - self.read);
        let span = inside(rest.filled(LEN_MAX));
        assert!((0..span.len).all(|at| self.bytes[span.offset + at] == byte(self.read + at as u64)));
        assert!(reader.publish().is_err(), "bytes that are the writer's again were read");
        self.is_withdrawn = true;
    }

    fn grow(&mut self) {
        let _ = self.words.writer(End::Client, self.written).grow();
    }

    fn read(&mut self, len: usize, is_honest: bool) {
        let mut reader = self.words.reader(End::Server, self.read);
        if reader.check().is_err() {
            return assert!(!is_honest);
        }
        let mut done = 0;
        for _ in 0..SPANS_MAX {
            let span = inside(reader.filled(len - done));
            if span.len == 0 {
                break;
            }
            let is_right = |at| self.bytes[span.offset + at] == byte(reader.place().wrapping_add(at as u64));
            assert!(!is_honest || !self.is_withdrawn && (0..span.len).all(is_right));
            reader.advance(span.len);
            done += span.len;
        }
        let is_published = reader.publish().is_ok();
        assert!(!is_honest || is_published != self.is_withdrawn);
        self.read = if is_published || !is_honest { reader.place() } else { self.read };
    }

    /// Says what is not so, in the words of either end.
    fn lie(&mut self, number: u64, kind: u8) {
        if kind & 8 == 0 {
            let mut writer = self.words.writer(End::Client, number);
            inside(writer.free(usize::MAX >> (number % 64)));
            let _ = (writer.grow(), writer.publish());
        } else {
            let _ = self.words.reader(End::Server, number).publish();
        }
    }
}

fn inside(span: Span) -> Span {
    assert!(span.offset >= HEADER_LEN && span.offset + span.len <= MEMORY_LEN);
    span
}

fn byte(at: u64) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 13) as u8
}

const STEPS_MAX: usize = 64;
const LEN_MAX: usize = 100_000;
/// A write or a read crosses no more rings and ends of rings than this.
const SPANS_MAX: usize = 64;

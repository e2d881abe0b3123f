//! Two programs with memory of their own, and two mirrors between them: what one writes the other reads, whatever is under way.

use super::*;
use std::cell::RefCell;

/// A program's memory, without sharing it.
struct Plain {
    words: Box<Shared>,
    bytes: RefCell<Vec<u8>>,
}

impl Plain {
    fn new() -> Plain {
        Plain { words: Box::default(), bytes: RefCell::new(vec![0; carrier::MEMORY_LEN]) }
    }
}

impl Memory for Plain {
    fn words(&self) -> &Shared {
        &self.words
    }

    fn read(&self, from: Span, into: &mut [u8]) {
        into.copy_from_slice(&self.bytes.borrow()[from.offset..from.offset + from.len]);
    }

    fn write(&self, to: Span, from: &[u8]) {
        self.bytes.borrow_mut()[to.offset..to.offset + to.len].copy_from_slice(from);
    }
}

/// One host: a program, its memory, and the mirror; what it has said to the other.
struct Host {
    end: End,
    memory: Plain,
    mirror: Mirror,
    said: Vec<u8>,
    written: u64,
    read: u64,
}

impl Host {
    fn new(end: End) -> Host {
        let (memory, mirror) = (Plain::new(), Mirror::new(end));
        Host { end, memory, mirror, said: Vec::new(), written: 0, read: 0 }
    }

    /// The program writes as much as there is room for.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut writer = self.memory.words.writer(self.end, self.written);
        let mut done = 0;
        while done < bytes.len() {
            let span = writer.free(bytes.len() - done);
            if span.len == 0 {
                break;
            }
            self.memory.write(span, &bytes[done..done + span.len]);
            writer.advance(span.len);
            let _ = writer.publish();
            done += span.len;
        }
        self.written = writer.place();
        done
    }

    /// The program reads up to so many bytes.
    fn read(&mut self, most: usize) -> Vec<u8> {
        let mut reader = self.memory.words.reader(self.end, self.read);
        let mut got = Vec::new();
        while got.len() < most {
            let span = reader.filled(most - got.len());
            if span.len == 0 {
                break;
            }
            let at = got.len();
            got.resize(at + span.len, 0);
            self.memory.read(span, &mut got[at..]);
            reader.advance(span.len);
            let _ = reader.publish();
        }
        self.read = reader.place();
        got
    }

    fn writer(&self) -> Writer<'_> {
        self.memory.words.writer(self.end, self.written)
    }

    fn reader(&self) -> Reader<'_> {
        self.memory.words.reader(self.end, self.read)
    }

    fn speak(&mut self) {
        self.mirror.poll_transmit(&self.memory, &mut self.said, 100_000).expect("it says what can be");
    }

    fn hear(&mut self, frame: Frame<'_>) -> Result<bool, Violation> {
        let woken = self.mirror.handle(&self.memory, frame)?;
        Ok(self.mirror.settle(&self.memory)? | woken)
    }
}

/// Moves frames both ways until nobody says anything.
fn carry(hosts: &mut [Host; 2]) {
    loop {
        for from in [0, 1] {
            hosts[from].speak();
            let said = std::mem::take(&mut hosts[from].said);
            let mut rest = &said[..];
            while let Some((frame, len)) = Frame::take(rest).expect("frames") {
                hosts[1 - from].hear(frame).expect("what can be");
                rest = &rest[len..];
            }
            assert!(rest.is_empty());
            if from == 1 && said.is_empty() {
                return;
            }
        }
    }
}

fn hosts() -> [Host; 2] {
    let hosts = [Host::new(End::Client), Host::new(End::Server)];
    hosts[0].writer().begin(1000);
    hosts[1].writer().begin(77);
    hosts
}

#[test]
fn bytes_cross_in_order_and_window() {
    let mut hosts = hosts();
    carry(&mut hosts);
    assert_eq!((hosts[1].reader().begins(), hosts[0].reader().begins()), (Some(1000), Some(77)));
    let sent: Vec<u8> = (0..3_000_000u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 11) as u8).collect();
    let (mut at, mut got) = (0, Vec::new());
    for turn in 0.. {
        at += hosts[0].write(&sent[at..sent.len().min(at + 50_000)]);
        carry(&mut hosts);
        got.extend(hosts[1].read(1 + turn * 7919 % 90_000));
        assert!(hosts[0].mirror.outward.taken - hosts[1].read <= WINDOW, "no more is under way");
        assert!(turn < 10_000, "it comes to an end");
        if got.len() == sent.len() {
            break;
        }
    }
    assert_eq!(got, sent);
    hosts[1].write(b"answer");
    carry(&mut hosts);
    assert_eq!(hosts[0].read(100), b"answer");
    assert_eq!(hosts[0].writer().unread(), 0, "all that was read there is given back here");
}

#[test]
fn what_is_not_read_stays_with_who_wrote_it() {
    let mut hosts = hosts();
    hosts[0].write(&[5; 1000]);
    carry(&mut hosts);
    assert_eq!(hosts[0].writer().unread(), 1000, "nobody has read it");
    assert_eq!(hosts[1].read(300).len(), 300);
    hosts[1].reader().hand_over();
    carry(&mut hosts);
    assert_eq!(hosts[0].writer().unread(), 700, "the rest is to be sent again");
    assert!(hosts[0].writer().is_handed_over());
}

#[test]
fn ends_come_after_their_bytes() {
    let mut hosts = hosts();
    hosts[0].write(&[5; 5000]);
    let _ = hosts[0].writer().end();
    hosts[0].speak();
    let said = std::mem::take(&mut hosts[0].said);
    let mut rest = &said[..];
    while let Some((frame, len)) = Frame::take(rest).expect("frames") {
        hosts[1].hear(frame).expect("what can be");
        let all = hosts[1].memory.words.reader(End::Server, 0).unread();
        assert!(!hosts[1].reader().is_ended() || all == 5000);
        rest = &rest[len..];
    }
    assert!(hosts[1].reader().is_ended());
    // The other way goes on.
    hosts[1].write(b"still here");
    carry(&mut hosts);
    assert_eq!(hosts[0].read(100), b"still here");
    let _ = hosts[0].reader().close();
    carry(&mut hosts);
    assert!(hosts[1].writer().is_closed() && !hosts[1].writer().is_handed_over());
}

#[test]
fn who_is_gone_is_gone_after_the_last_byte() {
    let mut hosts = hosts();
    hosts[0].write(&[5; 100_000]);
    assert!(!hosts[0].mirror.is_drained(&hosts[0].memory));
    carry(&mut hosts);
    assert!(hosts[0].mirror.is_drained(&hosts[0].memory));
    assert_eq!(hosts[1].hear(Frame::Gone), Ok(false));
    assert!(hosts[1].mirror.is_gone());
    assert_eq!(hosts[1].read(200_000).len(), 100_000);
    assert_eq!(hosts[1].hear(Frame::End), Err(Violation::Peer), "nothing follows");
}

#[test]
fn who_says_what_cannot_be_is_refused() {
    let bytes = [0; BYTES_MAX];
    let refused = |before: &[Frame<'_>], frame: Frame<'_>| {
        let mut host = Host::new(End::Server);
        for &frame in before {
            host.hear(frame).expect("what can be");
        }
        assert_eq!(host.hear(frame), Err(Violation::Peer), "{frame:?} after {before:?}");
    };
    refused(&[], Frame::Bytes(b"before they begin"));
    refused(&[Frame::Begin(1)], Frame::Begin(1));
    refused(&[], Frame::Read(1));
    refused(&[Frame::Begin(1), Frame::End], Frame::Bytes(b"after the end"));
    refused(&[Frame::End], Frame::End);
    let window = [Frame::Bytes(&bytes); WINDOW as usize / BYTES_MAX];
    let full: Vec<Frame<'_>> = [Frame::Begin(1)].into_iter().chain(window).collect();
    refused(&full, Frame::Bytes(b"x"));
}

#[test]
fn a_program_that_lies_ends_its_connection_alone() {
    let mut hosts = hosts();
    carry(&mut hosts);
    let _ = hosts[0].memory.words.writer(End::Client, u64::MAX / 2).publish();
    let told = hosts[0].mirror.poll_transmit(&hosts[0].memory, &mut Vec::new(), 1000);
    assert_eq!(told, Err(Violation::Program(Broken)));
    let mut hosts = self::hosts();
    carry(&mut hosts);
    let _ = hosts[1].memory.words.reader(End::Server, 9).publish();
    assert_eq!(hosts[1].mirror.settle(&hosts[1].memory), Err(Violation::Program(Broken)));
}

//! What relays say to each other of a connection: two programs with memory of their own and a relay's mirror each, of which the peer may
//! say any bytes instead, and either program anything in its memory. Spans lie within the memory, what waits has a limit, and where all
//! are honest the bytes come whole and in order, with their ends behind them, and nobody is accused.
//!
//! The input is a list of steps of four bytes: what is done, by whom, and a number. A first byte that is odd has everybody honest; in any other
//! the steps that follow are the bytes that a liar says, where it says bytes.
#![no_main]

#[path = "../../crates/relay/src/frame.rs"]
#[allow(dead_code, reason = "a relay uses more of it")]
mod frame;
#[path = "../../crates/relay/src/mirror.rs"]
#[allow(dead_code, reason = "a relay uses more of it")]
mod mirror;

use carrier::{End, HEADER_LEN, MEMORY_LEN, Shared, Span};
use frame::{BYTES_MAX, Frame};
use libfuzzer_sys::fuzz_target;
use mirror::{Memory, Mirror, WINDOW};
use std::cell::RefCell;

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let is_honest = first & 1 == 1;
    let mut hosts = [Host::new(End::Client), Host::new(End::Server)];
    for (number, step) in rest.chunks_exact(4).take(STEPS_MAX).enumerate() {
        let len = usize::from(u16::from_le_bytes([step[2], step[3]]));
        let (who, other) = if step[1] & 1 == 0 { (0, 1) } else { (1, 0) };
        let goes_on = match step[0] % 12 {
            0..=2 => hosts[who].write(len),
            3 | 4 => {
                let wrote = hosts[other].written;
                hosts[who].read(len, wrote, is_honest)
            }
            5..=7 => {
                let said = hosts[who].speak(is_honest, usize::from(step[1]) << 10);
                said.is_some_and(|said| hosts[other].listen(&said, is_honest))
            }
            8 => hosts[who].end(),
            9 => hosts[who].close(step[1] & 2 == 2),
            10 if !is_honest => hosts[who].lie(step),
            11 if !is_honest => {
                let bytes = rest.get(4 * (number + 1)..).unwrap_or_default();
                let said = say(step[1], len, bytes, hosts[who].written);
                hosts[who].listen(&said, false)
            }
            _ => hosts[who].rest(),
        };
        if !goes_on {
            assert!(!is_honest, "somebody honest is accused");
            return;
        }
        hosts.iter().for_each(Host::check);
    }
    if is_honest {
        finish(hosts);
    }
});

/// What a liar says: a frame that may be none in its place, or several, or any bytes.
fn say(kind: u8, len: usize, bytes: &[u8], written: u64) -> Vec<u8> {
    let (mut said, more) = (Vec::new(), kind >> 4);
    match kind >> 1 & 7 {
        0 => said.extend_from_slice(&bytes[..bytes.len().min(len)]),
        1 => Frame::Begin(len as u64).put(&mut said),
        2 => Frame::Bytes(&vec![kind; len % (BYTES_MAX + 1)]).put(&mut said),
        3 => (0..=more).for_each(|_| Frame::Bytes(&[7; BYTES_MAX]).put(&mut said)),
        4 if more & 1 == 0 => Frame::Read(len as u64).put(&mut said),
        4 => Frame::Read(written.wrapping_add(u64::from(more >> 1)).wrapping_sub(2)).put(&mut said),
        5 => Frame::End.put(&mut said),
        6 => if more & 1 == 0 { Frame::Closed } else { Frame::HandedOver }.put(&mut said),
        _ => Frame::Gone.put(&mut said),
    }
    said
}

/// All that is under way arrives, unless who would read it does not.
fn finish(mut hosts: [Host; 2]) {
    for _ in 0..TURNS_MAX {
        let mut has_moved = false;
        for (who, other) in [(0, 1), (1, 0)] {
            let said = hosts[who].speak(true, SAID_MAX).expect("it is honest");
            assert!(hosts[other].listen(&said, true));
            let (wrote, before) = (hosts[who].written, hosts[other].read);
            hosts[other].read(usize::MAX, wrote, true);
            // What was read now is said in the next turn.
            has_moved |= !said.is_empty() || hosts[other].read != before;
        }
        if !has_moved {
            break;
        }
    }
    for (who, other) in [(0, 1), (1, 0)] {
        if hosts[other].is_closed {
            continue;
        }
        assert_eq!(hosts[other].read, hosts[who].written, "all came");
        assert_eq!(
            hosts[other].words().reader(hosts[other].end, hosts[other].read).is_ended(),
            hosts[who].is_ended
        );
        assert_eq!(
            hosts[who].words().writer(hosts[who].end, hosts[who].written).unread(),
            0,
            "and was given back"
        );
    }
}

/// A program, its memory, and its relay's view of the connection.
struct Host {
    end: End,
    memory: Plain,
    mirror: Mirror,
    /// What the other relay has said and was not understood yet.
    heard: Vec<u8>,
    written: u64,
    read: u64,
    is_ended: bool,
    is_closed: bool,
}

struct Plain {
    words: Box<Shared>,
    bytes: RefCell<Vec<u8>>,
}

impl Memory for Plain {
    fn words(&self) -> &Shared {
        &self.words
    }

    fn read(&self, from: Span, into: &mut [u8]) {
        assert!(from.offset >= HEADER_LEN && from.offset + from.len <= MEMORY_LEN);
        into.copy_from_slice(&self.bytes.borrow()[from.offset..from.offset + from.len]);
    }

    fn write(&self, to: Span, from: &[u8]) {
        assert!(to.offset >= HEADER_LEN && to.offset + to.len <= MEMORY_LEN);
        self.bytes.borrow_mut()[to.offset..to.offset + to.len].copy_from_slice(from);
    }
}

impl Host {
    fn new(end: End) -> Host {
        let memory = Plain { words: Box::default(), bytes: RefCell::new(memory()) };
        let host = Host {
            end,
            memory,
            mirror: Mirror::new(end),
            heard: Vec::new(),
            written: 0,
            read: 0,
            is_ended: false,
            is_closed: false,
        };
        host.words().writer(end, 0).begin(1000);
        host
    }

    fn words(&self) -> &Shared {
        &self.memory.words
    }

    /// The program writes, as much as there is room for.
    fn write(&mut self, len: usize) -> bool {
        let mut writer = self.words().writer(self.end, self.written);
        if self.is_ended || writer.check().is_err() {
            return true;
        }
        let mut done = 0;
        while done < len {
            let span = writer.free(len - done);
            if span.len == 0 && writer.grow() {
                continue;
            }
            if span.len == 0 {
                break;
            }
            let bytes: Vec<u8> =
                (0..span.len as u64).map(|at| byte(writer.place().wrapping_add(at))).collect();
            self.memory.write(span, &bytes);
            writer.advance(span.len);
            let _ = writer.publish();
            done += span.len;
        }
        self.written = writer.place();
        true
    }

    /// The program reads what there is.
    fn read(&mut self, len: usize, wrote: u64, is_honest: bool) -> bool {
        let mut reader = self.words().reader(self.end, self.read);
        if self.is_closed || reader.check().is_err() {
            return !is_honest || self.is_closed;
        }
        let mut done = 0;
        while done < len {
            let span = reader.filled((len - done).min(PIECE));
            if span.len == 0 {
                break;
            }
            let mut bytes = vec![0; span.len];
            self.memory.read(span, &mut bytes);
            let is_right = (0..).zip(&bytes).all(|(at, &it)| it == byte(reader.place() + at));
            assert!(!is_honest || is_right && reader.place() + span.len as u64 <= wrote);
            reader.advance(span.len);
            let _ = reader.publish();
            done += span.len;
        }
        self.read = reader.place();
        true
    }

    /// The program writes no more.
    fn end(&mut self) -> bool {
        self.is_ended = true;
        let _ = self.words().writer(self.end, self.written).end();
        true
    }

    /// The program reads no more here.
    fn close(&mut self, hands_over: bool) -> bool {
        self.is_closed = true;
        let reader = self.words().reader(self.end, self.read);
        if hands_over {
            reader.hand_over();
        } else {
            let _ = reader.close();
        }
        true
    }

    /// The program says what is not so.
    fn lie(&mut self, step: &[u8]) -> bool {
        let number = u64::from_le_bytes([step[2], step[3], 0, 0, step[1], 0, 0, step[3]]) >> (step[1] % 64);
        match step[1] >> 1 & 7 {
            0 => drop(self.words().writer(self.end, number).publish()),
            1 => drop(self.words().reader(self.end, number).publish()),
            2 => self.words().writer(self.end, number).begin(number),
            3 => self.words().writer(self.end, number).withdraw(),
            4 => drop(self.words().writer(self.end, number).grow()),
            _ => drop(self.words().writer(self.end, number).free(number as usize >> 1)),
        }
        true
    }

    /// What the relay says; nothing if the program has said what cannot be.
    fn speak(&mut self, is_honest: bool, limit: usize) -> Option<Vec<u8>> {
        let mut said = Vec::new();
        let told = self.mirror.poll_transmit(&self.memory, &mut said, limit.min(SAID_MAX));
        assert!(!is_honest || told.is_ok());
        assert!(said.len() <= SAID_MAX + 2 * Frame::LEN_MAX, "what is said has a limit");
        told.ok().map(|()| said)
    }

    /// The relay hears bytes of the other's; false if that ends the connection.
    fn listen(&mut self, said: &[u8], is_honest: bool) -> bool {
        self.heard.extend_from_slice(said);
        let mut at = 0;
        let result = loop {
            match Frame::take(&self.heard[at..]) {
                Ok(None) => break true,
                Ok(Some((frame, len))) => {
                    let mut again = Vec::new();
                    frame.put(&mut again);
                    assert_eq!(Frame::take(&again), Ok(Some((frame, len))));
                    if self.mirror.handle(&self.memory, frame).is_err() {
                        break false;
                    }
                    at += len;
                }
                Err(_) => break false,
            }
        };
        self.heard.drain(..at);
        let is_settled = self.mirror.settle(&self.memory).is_ok();
        assert!(!is_honest || result && is_settled);
        result && is_settled
    }

    fn rest(&mut self) -> bool {
        self.mirror.rest(&self.memory);
        let _ = (self.mirror.is_drained(&self.memory), self.mirror.is_gone());
        true
    }

    fn check(&self) {
        assert!(self.mirror.waiting() as u64 <= WINDOW, "what waits has a limit");
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        USED.with(|used| used.borrow_mut().push(self.bytes.take()));
    }
}

thread_local! {
    /// Memory that was used before: what lies in it is nobody's, and to make it takes longer than all else.
    static USED: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn memory() -> Vec<u8> {
    USED.with(|used| used.borrow_mut().pop()).unwrap_or_else(|| vec![0; MEMORY_LEN])
}

fn byte(at: u64) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 13) as u8
}

const STEPS_MAX: usize = 96;
/// Turns in which all that is under way arrives.
const TURNS_MAX: usize = 64;
const SAID_MAX: usize = 128 << 10;
const PIECE: usize = 32 << 10;

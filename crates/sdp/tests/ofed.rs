//! A peer that behaves as OFED's stack does: it takes one advert, reads and offers memory, and resets a connection at everything it does
//! not know. Its messages are made and read here byte by byte. Our end tries all that it can, and is never reset.

use sdp::{Connection, How, Message, Options, Refused, Step, Terms};
use stdx::prng::Prng;
use stdx::time::Time;
use wire::sdp::{Advert, HelloAck, Mode};

/// Message ids.
const DISCONNECT: u8 = 0x02;
const SEND_SMALL: u8 = 0x04;
const READ_DONE: u8 = 0x06;
const SOURCE_CANCEL: u8 = 0x08;
const RESIZE: u8 = 0x0b;
const RESIZE_ACK: u8 = 0x0c;
const SOURCE: u8 = 0xfe;
const DATA: u8 = 0xff;

/// Receives of the peer, and bytes of each.
const RECEIVES: u16 = 8;
const RECEIVE_LEN: u32 = 1024;

/// The peer's answer: version 2.2, one advert.
fn hello_ack() -> [u8; 196] {
    let mut bytes = [0; 196];
    bytes[..24].copy_from_slice(&[
        0x01, 0, 0, 8, 0, 0, 0, 196, 0, 0, 0, 0, 0, 0, 0, 0, 0x22, 0x40, 0, 1, 0, 0, 0x04, 0,
    ]);
    bytes
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The peer.
struct Ofed {
    sent: u32,
    seen: u32,
    /// Messages of its own that it may send.
    may_send_to: u32,
    /// Bytes of ours that it has.
    received: u64,
    /// What it may read of ours, and has not.
    offered: Option<u32>,
    /// What it offers itself: how much was not read.
    offers: Option<u32>,
    /// Bytes of its own that went out.
    written: u64,
    /// Receives that it holds.
    held: u16,
    /// The last number that our end was told it may use.
    told_to: u32,
    outbox: Vec<Vec<u8>>,
    is_closed: bool,
}

impl Ofed {
    /// Takes a message of ours, or resets the connection.
    fn take(&mut self, head: &[u8], payload: u32) {
        let (id, flags, len) = (head[0], head[1], word(head, 4));
        assert_eq!(len as usize, head.len() + payload as usize);
        assert!(len <= RECEIVE_LEN, "longer than a receive");
        assert_eq!(flags & !0x3, 0, "a flag that is not known");
        assert!(self.held < RECEIVES, "no receive is posted");
        assert!(!self.is_closed || payload == 0, "bytes behind the last");
        self.held += 1;
        self.seen += 1;
        assert_eq!(word(head, 8), self.seen, "numbers follow each other");
        self.may_send_to = word(head, 12) + u32::from(u16::from_be_bytes([head[2], head[3]]));
        match id {
            DATA => {
                assert!(payload == 0 || self.offered.is_none(), "bytes overtake an advert");
                self.received += u64::from(payload);
            }
            SOURCE => {
                let whole = word(head, 16);
                assert!(self.offered.is_none(), "an advert in the middle of another");
                assert!(payload > 0 && payload < whole, "some of its bytes come along");
                self.received += u64::from(payload);
                self.offered = Some(whole - payload);
            }
            READ_DONE => {
                let left = self.offers.expect("an advert was there").checked_sub(word(head, 16));
                self.offers = left.filter(|left| *left > 0);
                assert!(left.is_some(), "no more was read than there is");
            }
            SEND_SMALL => {
                // What was not read goes in messages.
                if let Some(left) = self.offers.take() {
                    self.written -= u64::from(left);
                }
            }
            SOURCE_CANCEL => {
                if self.offered.take().is_some() {
                    self.say(SEND_SMALL, &[], 0);
                }
            }
            DISCONNECT => self.is_closed = true,
            RESIZE => self.say(RESIZE_ACK, &RECEIVE_LEN.to_be_bytes(), 0),
            RESIZE_ACK => {}
            other => panic!("message {other:#x} resets the connection"),
        }
    }

    fn say(&mut self, id: u8, body: &[u8], payload: u32) {
        self.outbox.push([&[id], body, &vec![0x5a; payload as usize][..]].concat());
    }

    /// Reads some of what is offered, or refuses it.
    fn read(&mut self, prng: &mut Prng) {
        let Some(left) = self.offered else { return };
        if prng.chance(1, 4) {
            self.offered = None;
            return self.say(SEND_SMALL, &[], 0);
        }
        let len = if prng.chance(1, 2) { left } else { prng.between(1, left.into()) as u32 };
        self.received += u64::from(len);
        self.offered = Some(left - len).filter(|left| *left > 0);
        self.say(READ_DONE, &len.to_be_bytes(), 0);
    }

    /// Writes some, copied or offered.
    fn write(&mut self, prng: &mut Prng) {
        if self.offers.is_some() || !self.outbox.is_empty() || self.written >= BYTES {
            return;
        }
        let len = prng.between(2, 900).min(BYTES - self.written) as u32;
        if prng.chance(1, 2) && len > 1 && self.offered.is_none() {
            let whole = len + prng.below(5000) as u32 + 1;
            self.say(SOURCE, &[whole.to_be_bytes(), [0; 4], [0; 4], [0; 4]].concat(), len);
            self.written += u64::from(whole);
            self.offers = Some(whole - len);
        } else {
            self.say(DATA, &[], len);
            self.written += u64::from(len);
        }
    }

    /// Posts its receives again, and says so when our end knows of less than two thirds of them.
    fn release(&mut self) {
        self.held = 0;
        if (self.told_to - self.seen) * 3 < u32::from(RECEIVES) * 2 && self.outbox.is_empty() {
            self.say(DATA, &[], 0);
        }
    }

    /// The next message, if there is a credit for it.
    fn send(&mut self) -> Option<Vec<u8>> {
        if self.outbox.is_empty() || self.may_send_to.wrapping_sub(self.sent) == 0 {
            return None;
        }
        Some(self.stamp())
    }

    fn stamp(&mut self) -> Vec<u8> {
        let message = self.outbox.remove(0);
        self.sent += 1;
        self.told_to = self.seen + u32::from(RECEIVES - self.held);
        let (len, buffers) = (message.len() as u32 + 15, (RECEIVES - self.held).to_be_bytes());
        let numbers = [len.to_be_bytes(), self.sent.to_be_bytes(), self.seen.to_be_bytes()].concat();
        [&[message[0], 0], &buffers[..], &numbers[..], &message[1..]].concat()
    }
}

/// Does what an owner can, of which the peer must see nothing that it does not know.
fn ask_for_everything(connection: &mut Connection, prng: &mut Prng) {
    connection.prefer_pipelined(prng.chance(1, 2));
    let sink = Advert { len: 100_000, key: 9, address: 0 };
    assert_eq!(connection.advertise(1, sink), Err(Refused::Mode));
    for mode in [Mode::Buffered, Mode::Combined, Mode::Pipelined] {
        assert_eq!(connection.change_mode(mode), Err(Refused::Mode));
    }
    assert_eq!(connection.allow_adverts(), Err(Refused::Mode));
    assert!(connection.suspend(Time::ZERO, 0x1_0050).is_err());
    connection.cancel_advertised();
    match prng.below(8) {
        0 => connection.cancel_written(Time::ZERO),
        1 => drop(connection.refuse_offer()),
        2 => connection.resize(4096),
        _ => {}
    }
}

/// Bytes that each end writes, or a little more.
const BYTES: u64 = 60_000;

fn play(seed: u64) {
    let mut prng = Prng::new(seed);
    let options = Options { receives: 8, receive_len: 2048, adverts_max: 8, ..Options::default() };
    let ack = HelloAck::decode(&hello_ack()).expect("an answer");
    let terms = Terms::of_hello_ack(&ack).expect("terms");
    assert_eq!((terms.credits, terms.message_len, terms.adverts_max), (8, 1024, 1));
    let mut connection = Connection::new(Time::ZERO, options, terms);
    let mut peer = Ofed {
        sent: 0,
        seen: 0,
        may_send_to: 8,
        received: 0,
        offered: None,
        offers: None,
        written: 0,
        held: 0,
        told_to: RECEIVES.into(),
        outbox: Vec::new(),
        is_closed: false,
    };
    let (mut came, mut held) = (0, 0);
    for _ in 0..200_000 {
        match prng.below(8) {
            0 if connection.written() < BYTES => {
                let len = prng.between(1, 3000) as u32;
                let how = match prng.chance(1, 2) {
                    true => How::Advertised { key: 1, address: connection.written() },
                    false => How::Copied,
                };
                let is_urgent = how == How::Copied && prng.chance(1, 4);
                connection.write(len, how, is_urgent).expect("open");
            }
            0 => connection.shut_down(),
            1 => ask_for_everything(&mut connection, &mut prng),
            2 => peer.read(&mut prng),
            3 => peer.write(&mut prng),
            4 => {
                if let Some(message) = peer.send() {
                    let front = &message[..message.len().min(Message::HEAD_MAX + 1)];
                    let heard = connection.handle_message(Time::ZERO, front, message.len() as u32);
                    came += heard.expect("a message").map_or(0, |payload| u64::from(payload.len));
                    held += 1;
                }
            }
            5 => {
                if let Some(offer) = connection.offer() {
                    let len = prng.between(1, offer.len.into()) as u32;
                    connection.read(len);
                    connection.handle_done();
                    came += u64::from(len);
                }
            }
            6 => {
                for _ in 0..core::mem::take(&mut held) {
                    assert!(connection.release(), "there are as many as there were");
                }
                peer.release();
            }
            _ => {
                if let Some(step) = connection.poll(Time::ZERO) {
                    let Step::Send(message) = step else { panic!("{step:?} is not for this peer") };
                    peer.take(message.head(), message.payload.len);
                    connection.handle_done();
                }
            }
        }
        connection.check();
        if peer.is_closed && peer.written >= BYTES && peer.offers.is_none() && peer.outbox.is_empty() {
            break;
        }
    }
    assert!(peer.is_closed, "seed {seed}: {connection:?}");
    assert_eq!(peer.received, connection.written());
    assert_eq!(came, peer.written);
}

#[test]
fn ofeds_stack_is_never_told_what_it_resets() {
    (0..200).for_each(play);
}

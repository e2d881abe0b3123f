//! A peer that says anything to an SDP connection whose owner does anything: all laws hold, and what is to be done stays bounded.
//!
//! The input is a list of steps, each of one byte that says what it is: a message of the peer's, whose number and acknowledgement
//! may be put right, or a command of the owner's with a number of its own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdp::{Connection, Event, How, Options, Step, Terms};
use std::time::Duration;
use stdx::time::Time;
use wire::sdp::{Advert, BASE_LEN, Base, Flags, MessageId, Mode};

fuzz_target!(|input: &[u8]| {
    let Some((first, mut rest)) = input.split_first() else { return };
    let mut end = End::new(*first);
    for _ in 0..STEPS_MAX {
        let [kind, number, bytes @ ..] = rest else { break };
        rest = if kind & 1 == 0 {
            end.hear(*kind, *number, bytes)
        } else {
            end.command(*kind >> 1, *number, bytes)
        };
        end.settle(kind & 0x80 == 0);
    }
    end.connection.abort();
    end.settle(true);
    assert!(end.connection.is_ended());
});

/// One end, and what a peer knows of it.
struct End {
    connection: Connection,
    now: Time,
    /// Messages that the peer sent, and that it has seen.
    sent: u32,
    seen: u32,
    /// Requests that were posted and are not done.
    posted: u32,
    /// Receives that the owner holds.
    held: u32,
    /// Names of memory that the peer may write to.
    tokens: u32,
    /// Bytes of the peer's receives.
    message_len: u32,
}

impl End {
    fn new(choice: u8) -> Self {
        let options = Options {
            receives: 4 + u16::from(choice & 7),
            receive_len: 128,
            adverts_max: 3,
            ..Options::default()
        };
        let terms = Terms { credits: 4 + u16::from(choice >> 4), message_len: 128, adverts_max: 4 };
        let connection = Connection::new(Time::ZERO, options, terms);
        Self {
            connection,
            now: Time::ZERO,
            sent: 0,
            seen: 0,
            posted: 0,
            held: 0,
            tokens: 0,
            message_len: 128,
        }
    }

    /// The peer says something; what is left of the input.
    fn hear<'a>(&mut self, kind: u8, number: u8, bytes: &'a [u8]) -> &'a [u8] {
        let (front, rest) = bytes.split_at(bytes.len().min(usize::from(kind >> 2 & 0x1f)));
        let len = BASE_LEN + front.len();
        let Some(id) = MessageId::from_code(number) else { return rest };
        let mut base = Base {
            id,
            flags: Flags(kind >> 4 & 7),
            buffers: 8,
            len: len as u32,
            sequence: 0,
            acknowledged: 0,
        };
        if kind & 2 == 0 {
            (base.sequence, base.acknowledged) = (self.sent + 1, self.seen);
        } else {
            base.sequence = u32::from(number);
        }
        let message = [base.encode().as_slice(), front].concat();
        let before = self.connection.is_ended();
        if self.connection.handle_message(self.now, &message, message.len() as u32).is_ok() && !before {
            self.sent += 1;
            self.held += 1;
        }
        self.connection.check();
        rest
    }

    /// The owner wants something; what is left of the input.
    fn command<'a>(&mut self, kind: u8, number: u8, bytes: &'a [u8]) -> &'a [u8] {
        let len = u32::from(number) * 7 + 1;
        let connection = &mut self.connection;
        // What is refused changes nothing.
        match kind & 0xf {
            0 | 1 => drop(connection.write(len, How::Copied, false)),
            2 => drop(connection.write(len, How::Copied, true)),
            3 | 4 => drop(connection.write(len, How::Advertised { key: 1, address: 4096 }, false)),
            5 => {
                self.tokens += 1;
                let _ = connection.advertise(self.tokens, Advert { len: len + 112, key: 2, address: 0 });
            }
            6 => drop(
                connection
                    .change_mode([Mode::Buffered, Mode::Combined, Mode::Pipelined][usize::from(number % 3)]),
            ),
            7 => drop(connection.allow_adverts()),
            8 => connection.cancel_written(self.now),
            9 => connection.cancel_advertised(),
            10 => drop(connection.refuse_offer()),
            11 => drop(connection.suspend(self.now, 0x10000)),
            12 => connection.resize(len),
            13 => {
                connection.prefer_pipelined(number & 1 == 0);
                connection.set_more(number & 2 == 0);
            }
            14 if number > 200 => connection.shut_down(),
            15 if number > 200 => connection.shut_read(),
            _ => {
                self.now += Duration::from_millis(u64::from(number) * 100);
                let _ = connection.handle_timeout(self.now);
            }
        }
        self.connection.check();
        bytes
    }

    /// Does what is to be done; completes requests and gives receives back, if asked to.
    fn settle(&mut self, finishes: bool) {
        for _ in 0..POLLS_MAX {
            while let Some(event) = self.connection.poll_event() {
                if let Event::Resized { len } = event {
                    self.message_len = len;
                }
            }
            if let Some(offer) = self.connection.offer().filter(|_| !self.connection.is_ended()) {
                self.connection.read(offer.len.div_ceil(3));
                self.posted += 1;
            }
            match self.connection.poll(self.now) {
                Some(Step::Send(message)) => {
                    assert!(
                        message.head().len() as u32 + message.payload.len <= self.message_len,
                        "longer than a receive"
                    );
                    self.seen += 1;
                    self.posted += 1;
                }
                Some(Step::Write { .. } | Step::Probe) => self.posted += 1,
                Some(Step::Disconnect) => {}
                None if !finishes || self.posted + self.held == 0 => return,
                None => {
                    (0..core::mem::take(&mut self.posted)).for_each(|_| self.connection.handle_done());
                    for _ in 0..core::mem::take(&mut self.held) {
                        self.connection.release();
                    }
                }
            }
            self.connection.check();
            assert!(self.connection.released() <= self.connection.written());
        }
        panic!("there is no end to what is to be done");
    }
}

/// Steps of one input.
const STEPS_MAX: usize = 256;
/// More than any input can give cause for at once.
const POLLS_MAX: usize = 100_000;

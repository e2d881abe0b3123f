//! One connection between two relays, from the first word to the last.
//!
//! ```text
//!   dialled:   Heard ----> Named ----> Wanted ----> Adopting ----.
//!                 Hello       Offer      a program      it took   \
//!                                        claimed it     the memory > Carrying ----> Leaving
//!   dials:     Dialling -> Greeting -> Offered ------------------'          Gone
//!              connected   Hello       Answer
//! ```
//!
//! Each stage but Carrying has to be over in some time.

use crate::channel::Channel;
use crate::claims::{Claims, PATIENCE};
use crate::frame::Frame;
use crate::greeting::{self, Ends, Nonce, Nonces};
use crate::key::Key;
use crate::mirror::{Memory, Mirror, Violation};
use carrier::{End, Shared, Span};
use launch::claim::FAREWELL;
use reactor::{Bell, CarriedMemory, Heard};
use sockets::SdpStream;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use thiserror::Error;

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    channel: Channel,
    stage: Stage,
    /// When the stage has to be over.
    deadline: Option<Instant>,
    /// The host that is dialled, until it has shown that it has a relay.
    stranger: Option<IpAddr>,
}

#[derive(Debug)]
enum Stage {
    Dialling { program: Bell, ends: Ends, nonce: Nonce },
    Greeting { program: Bell, ends: Ends, nonce: Nonce },
    Offered { program: Bell, ends: Ends, nonces: Nonces },
    Heard { nonce: Nonce },
    Named { nonces: Nonces },
    Wanted { nonces: Nonces, ends: Ends },
    Adopting { nonces: Nonces, ends: Ends, link: Box<Link> },
    Carrying(Box<Link>),
    Leaving,
}

/// What is shared with the program here.
#[derive(Debug)]
struct Link {
    /// None once the program is gone.
    bell: Option<Bell>,
    memory: Mapped,
    mirror: Mirror,
    /// The peer was told that the program is gone.
    is_gone_told: bool,
}

/// The memory, as a mirror sees it.
#[derive(Debug)]
struct Mapped(CarriedMemory);

/// Why a session ends before its time.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The stream broke.
    #[error("the stream between the relays: {0}")]
    Stream(#[from] io::Error),
    /// The peer ended it, or sends what is no word of ours.
    #[error("the other relay ended it")]
    Ended,
    /// It took too long.
    #[error("the other relay did not answer in time")]
    Late,
    /// The peer has another key, or speaks otherwise.
    #[error("the other relay has another key, or another version")]
    Stranger,
    /// The program here is gone, or would not take the memory.
    #[error("the program is gone")]
    Program,
    /// Somebody says what cannot be.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// What all sessions have in common.
#[derive(Debug)]
pub(crate) struct Common<'a> {
    pub(crate) key: &'a Key,
    pub(crate) claims: &'a mut Claims,
    pub(crate) now: Instant,
}

/// What came of a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Nothing.
    Idle,
    /// Something moved: there may be more.
    Moved,
    /// The session is over, as it should be.
    Over,
}

impl Session {
    /// For a program that connected: a stream to the relay there has been begun.
    pub(crate) fn dial(stream: SdpStream, program: Bell, ends: Ends, nonce: Nonce, now: Instant) -> Session {
        let stranger = Some(ends.server.ip());
        let stage = Stage::Dialling { program, ends, nonce };
        Session { channel: Channel::new(stream), stage, deadline: Some(now + DIAL), stranger }
    }

    /// A relay has come.
    pub(crate) fn accept(stream: SdpStream, nonce: Nonce, now: Instant) -> Session {
        let stage = Stage::Heard { nonce };
        Session { channel: Channel::new(stream), stage, deadline: Some(now + WORD), stranger: None }
    }

    /// When it is to have its next turn though nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The host that this end is to be blamed on: it has not shown yet that it has a relay of ours.
    pub(crate) fn blamed(&self, why: &Failure) -> Option<IpAddr> {
        match why {
            Failure::Stream(_) | Failure::Ended | Failure::Late | Failure::Stranger => self.stranger,
            Failure::Program | Failure::Violation(_) => None,
        }
    }

    /// Does what there is to do.
    pub(crate) fn turn(&mut self, common: &mut Common<'_>) -> Result<Turn, Failure> {
        if matches!(self.stage, Stage::Dialling { .. }) && !self.channel.is_connected()? {
            self.hear_program()?;
            return self.in_time(common.now).map(|()| Turn::Idle);
        }
        let mut has_moved = self.channel.fill()? | self.hear_program()?;
        loop {
            let stage = core::mem::replace(&mut self.stage, Stage::Leaving);
            let (next, has_stepped) = self.step(stage, common)?;
            self.stage = next;
            if !has_stepped {
                break;
            }
            has_moved = true;
        }
        has_moved |= self.channel.flush()?;
        match &self.stage {
            Stage::Carrying(link) if link.is_over() => return Ok(Turn::Over),
            Stage::Leaving => {
                self.channel.discard();
                let is_late = self.deadline.is_some_and(|until| until <= common.now);
                if is_late || self.channel.is_ended() {
                    return Ok(Turn::Over);
                }
            }
            _ if self.channel.is_ended() && self.channel.unread().is_empty() => return Err(Failure::Ended),
            _ => self.in_time(common.now)?,
        }
        Ok(if has_moved { Turn::Moved } else { Turn::Idle })
    }

    /// The program is to ring when there is anything new.
    pub(crate) fn rest(&self) {
        if let Stage::Carrying(link) = &self.stage {
            link.mirror.rest(&link.memory);
        }
    }

    fn in_time(&self, now: Instant) -> Result<(), Failure> {
        if self.deadline.is_some_and(|until| until <= now) { Err(Failure::Late) } else { Ok(()) }
    }

    /// A program that has not got its memory yet says nothing, but may go.
    fn hear_program(&self) -> Result<bool, Failure> {
        let (Stage::Dialling { program, .. }
        | Stage::Greeting { program, .. }
        | Stage::Offered { program, .. }) = &self.stage
        else {
            return Ok(false);
        };
        match program.hear(&mut [0; 8]) {
            Heard::Nothing => Ok(false),
            Heard::Message(_) => Ok(true),
            Heard::End => Err(Failure::Program),
        }
    }

    /// One step: the next stage, and whether it is worth while to look again.
    fn step(&mut self, stage: Stage, common: &mut Common<'_>) -> Result<(Stage, bool), Failure> {
        match stage {
            Stage::Dialling { program, ends, nonce } => {
                self.channel.outbox().extend_from_slice(&greeting::hello(&nonce));
                self.deadline = Some(common.now + WORD);
                Ok((Stage::Greeting { program, ends, nonce }, true))
            }
            Stage::Greeting { program, ends, nonce } => {
                let Some(hello) = self.channel.take() else {
                    return Ok((Stage::Greeting { program, ends, nonce }, false));
                };
                let nonces = [nonce, greeting::heard_hello(hello).ok_or(Failure::Stranger)?];
                self.stranger = None;
                self.channel.outbox().extend_from_slice(&greeting::offer(common.key, &nonces, ends));
                // The server may take its memory late; until then there is TCP.
                self.deadline = None;
                Ok((Stage::Offered { program, ends, nonces }, true))
            }
            Stage::Offered { program, ends, nonces } => {
                let Some(answer) = self.channel.take() else {
                    return Ok((Stage::Offered { program, ends, nonces }, false));
                };
                if !greeting::is_answer(common.key, &nonces, ends, answer) {
                    return Err(Failure::Stranger);
                }
                Ok((Stage::Carrying(Link::new(program, End::Client)?), true))
            }
            Stage::Heard { nonce } => {
                let Some(hello) = self.channel.take() else { return Ok((Stage::Heard { nonce }, false)) };
                let nonces = [greeting::heard_hello(hello).ok_or(Failure::Stranger)?, nonce];
                self.channel.outbox().extend_from_slice(&greeting::hello(&nonce));
                Ok((Stage::Named { nonces }, true))
            }
            Stage::Named { nonces } => {
                let Some(offer) = self.channel.take() else { return Ok((Stage::Named { nonces }, false)) };
                let ends = greeting::heard_offer(common.key, &nonces, offer).ok_or(Failure::Stranger)?;
                self.deadline = Some(common.now + PATIENCE);
                Ok((Stage::Wanted { nonces, ends }, true))
            }
            Stage::Wanted { nonces, ends } => {
                let Some(program) = common.claims.take(ends) else {
                    return Ok((Stage::Wanted { nonces, ends }, false));
                };
                self.deadline = None;
                Ok((Stage::Adopting { nonces, ends, link: Link::new(program, End::Server)? }, true))
            }
            Stage::Adopting { nonces, ends, mut link } => {
                if !link.hear()? {
                    return Ok((Stage::Adopting { nonces, ends, link }, false));
                }
                self.channel.outbox().extend_from_slice(&greeting::answer(common.key, &nonces, ends));
                Ok((Stage::Carrying(link), true))
            }
            Stage::Carrying(mut link) => {
                let has_moved = link.carry(&mut self.channel)?;
                if link.is_gone_told && self.channel.is_flushed() {
                    self.channel.shut();
                    self.deadline = Some(common.now + FAREWELLS);
                    return Ok((Stage::Leaving, true));
                }
                Ok((Stage::Carrying(link), has_moved))
            }
            Stage::Leaving => Ok((Stage::Leaving, false)),
        }
    }
}

impl Link {
    /// Gives memory to a program that has the named end.
    fn new(bell: Bell, program: End) -> Result<Box<Link>, Failure> {
        let memory = CarriedMemory::create().map_err(|_| Failure::Program)?;
        bell.give(&memory).map_err(|_| Failure::Program)?;
        let (bell, mirror) = (Some(bell), Mirror::new(program));
        Ok(Box::new(Link { bell, memory: Mapped(memory), mirror, is_gone_told: false }))
    }

    /// Hears the bell: true if it rang. A program that goes before anything was carried takes the session with it.
    fn hear(&mut self) -> Result<bool, Failure> {
        let rang = self.listen();
        if self.bell.is_none() { Err(Failure::Program) } else { Ok(rang) }
    }

    fn listen(&mut self) -> bool {
        let mut rang = false;
        // A program that rings without end is looked after again in the next turn.
        for _ in 0..RINGS {
            match self.bell.as_ref().map_or(Heard::Nothing, |bell| bell.hear(&mut [0; 8])) {
                Heard::Nothing => break,
                Heard::Message(_) => rang = true,
                Heard::End => {
                    self.bell = None;
                    rang = true;
                }
            }
        }
        rang
    }

    /// Moves what there is to move; true if anything did.
    fn carry(&mut self, channel: &mut Channel) -> Result<bool, Failure> {
        let mut has_moved = self.listen();
        let mut wakes = false;
        let (mirror, memory) = (&mut self.mirror, &self.memory);
        while let Some((frame, len)) = Frame::take(channel.unread()).map_err(|_| Violation::Peer)? {
            wakes |= mirror.handle(memory, frame)?;
            channel.advance(len);
            has_moved = true;
        }
        wakes |= mirror.settle(memory)?;
        if wakes && let Some(bell) = &self.bell {
            bell.say(&[1]);
        }
        let before = channel.outbox().len();
        if !self.is_gone_told && before < OUTBOX_MAX {
            mirror.poll_transmit(memory, channel.outbox(), OUTBOX_MAX)?;
            if self.bell.is_none() && mirror.is_drained(memory) {
                self.is_gone_told = true;
                Frame::Gone.put(channel.outbox());
            }
        }
        has_moved |= channel.outbox().len() > before;
        if mirror.is_gone() && self.bell.as_ref().is_some_and(|bell| bell.say(&[FAREWELL])) {
            self.bell = None;
            has_moved = true;
        }
        Ok(has_moved)
    }

    /// The program there is gone, and the one here knows all of it.
    fn is_over(&self) -> bool {
        self.mirror.is_gone() && self.bell.is_none()
    }
}

impl Memory for Mapped {
    fn words(&self) -> &Shared {
        self.0.words()
    }

    fn read(&self, from: Span, into: &mut [u8]) {
        self.0.read(from, into);
    }

    fn write(&self, to: Span, from: &[u8]) {
        self.0.write(to, from);
    }
}

/// How long it may take to reach another relay.
const DIAL: Duration = Duration::from_secs(10);
/// How long it may take to say the next word.
const WORD: Duration = Duration::from_secs(10);
/// How long who has said everything waits for the peer to end the stream.
const FAREWELLS: Duration = Duration::from_secs(10);
/// Bytes of frames that are made before they are sent.
const OUTBOX_MAX: usize = 128 << 10;
/// Messages of a bell that are heard at once.
const RINGS: u32 = 64;

#[cfg(test)]
mod tests;

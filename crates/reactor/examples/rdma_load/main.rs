//! RDMA under load, for `cargo xtask bench rdma`: two soft devices on two addresses, and the verbs that are measured.
//!
//! `rdma_load WAY OWN` serves at an address and prints where; `rdma_load WAY OWN PEER MODE SIZE DEPTH SECONDS` asks, and prints
//! the messages of a second. The ways: `packets`, and `memory` that both share. The modes: `write`, `read` and `send` keep DEPTH requests of SIZE bytes under way, `ping` has one
//! send go to and fro.

mod end;

use end::End;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use verbs::{CompletionKind, Data, Remote, SendRequest, Status, Work};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |place: usize| arguments.get(place).map_or("", String::as_str);
    let shares = text(0) == "memory";
    let own: IpAddr = text(1).parse()?;
    if arguments.len() == 2 {
        return serve(own, shares);
    }
    let peer: SocketAddr = text(2).parse()?;
    let (size, depth) = (text(4).parse()?, text(5).parse()?);
    let mode =
        Mode::ALL.into_iter().find(|mode| mode.name() == text(3)).ok_or("write, read, send or ping")?;
    let mut end = End::open(own, peer.port(), shares)?;
    let there = end.connect(peer.ip(), &[mode as u8, 0, 0, 0])?;
    let mut load = Load { end, there, mode, size, depth, next: 0 };
    let span = Duration::from_secs_f64(text(6).parse()?);
    load.run_for(span / 10)?;
    let began = Instant::now();
    let done = load.run_for(span)?;
    println!("{}", done as f64 / began.elapsed().as_secs_f64());
    Ok(())
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Write,
    Read,
    Send,
    Ping,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Write, Self::Read, Self::Send, Self::Ping];

    const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Send => "send",
            Self::Ping => "ping",
        }
    }
}

/// Answers until it is ended.
fn serve(own: IpAddr, shares: bool) -> Result<(), Box<dyn Error>> {
    let mut end = End::open(own, 0, shares)?;
    println!("{}", SocketAddr::new(own, end.device.config().port));
    let mode = end.accept()?;
    let echoes = mode.first() == Some(&(Mode::Ping as u8));
    loop {
        end.turn();
        while let Some(done) = end.next_done() {
            if done.status != Status::Success {
                return Ok(());
            }
            if done.kind != CompletionKind::Receive {
                continue;
            }
            end.receive(done.id)?;
            if echoes {
                end.post(SendRequest::new(0, Work::Send, Data::Inline(&[7; 8])))?;
            }
        }
    }
}

/// The asking end.
struct Load {
    end: End,
    there: Remote,
    mode: Mode,
    size: u32,
    depth: u64,
    /// Requests that were posted.
    next: u64,
}

impl Load {
    /// Keeps requests under way; says how many were done.
    fn run_for(&mut self, span: Duration) -> Result<u64, Box<dyn Error>> {
        let (began, mut done, mut turns) = (Instant::now(), 0, 0_u32);
        // Reading the clock costs as much as a turn that finds nothing.
        while !turns.is_multiple_of(TURNS_A_LOOK) || began.elapsed() < span {
            turns = turns.wrapping_add(1);
            while self.next < self.depth {
                self.post(self.next)?;
                self.next += 1;
            }
            self.end.turn();
            while let Some(completion) = self.end.next_done() {
                if completion.status != Status::Success {
                    return Err(format!("{completion:?}").into());
                }
                if self.mode == Mode::Ping {
                    if completion.kind != CompletionKind::Receive {
                        continue;
                    }
                    self.end.receive(completion.id)?;
                }
                done += 1;
                self.post(completion.id % self.depth)?;
            }
        }
        Ok(done)
    }

    /// Posts the request that uses the `slot`th part of the memory.
    fn post(&mut self, slot: u64) -> Result<(), Box<dyn Error>> {
        let offset = slot * u64::from(self.size);
        let there = Remote { address: self.there.address + offset, ..self.there };
        let list = [self.end.memory.sge(offset, self.size)];
        let request = match self.mode {
            Mode::Write => SendRequest::new(slot, Work::Write(there), Data::Gather(&list)),
            Mode::Read => SendRequest::new(slot, Work::Read(there), Data::Gather(&list)),
            Mode::Send | Mode::Ping => SendRequest::new(slot, Work::Send, Data::Inline(&[7; 8])),
        };
        self.end.post(request)
    }
}

/// Turns between two looks at the clock.
const TURNS_A_LOOK: u32 = 16;

//! Two ends that exchange messages through the reactor and do nothing else: what the reactor itself costs.
//!
//! `exchange REQUEST ANSWER` answers and prints its address; `exchange REQUEST ANSWER ADDRESS DEPTH SECONDS` asks, and prints the
//! exchanges of a second. The sizes are in bytes. `cargo xtask bench reactor` runs both beside the yardstick.

use core::time::Duration;
use reactor::{Options, Reactor};
use std::error::Error;
use stdx::env::{Env, Event, IoError, Owner, StreamId, What};
use stdx::mem::Span;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| arguments.get(place).map_or("nothing", String::as_str).parse::<usize>();
    let (request, answer) = (number(0)?, number(1)?);
    let mut env = Reactor::new(Options::default())?;
    match arguments.get(2) {
        None => serve(&mut env, request, answer),
        Some(address) => {
            let stream = env.connect(Owner(1), address.parse()?)?;
            let mut end = End::new(&mut env, stream, answer, request)?;
            end.owed = number(3)? * request;
            let span = Duration::from_secs_f64(arguments.get(4).ok_or("how long?")?.parse()?);
            let mut events = Vec::new();
            end.run_until(&mut env, &mut events, span / 10)?;
            let (before, began) = (end.exchanges, std::time::Instant::now());
            end.run_until(&mut env, &mut events, span)?;
            println!("{}", (end.exchanges - before) as f64 / began.elapsed().as_secs_f64());
            Ok(())
        }
    }
}

fn serve(env: &mut Reactor, request: usize, answer: usize) -> Result<(), Box<dyn Error>> {
    let listener = env.listen(Owner(0), "127.0.0.1:0".parse()?)?;
    println!("{}", env.listener_address(listener));
    let mut events = Vec::new();
    env.poll(&mut events, None);
    let accepted = env.accept(listener, Owner(1))?;
    let mut end = End::new(env, accepted.stream, request, answer)?;
    while !end.ended {
        end.turn(env, &mut events, None)?;
    }
    Ok(())
}

/// One end: for each whole message that arrives it owes one.
struct End {
    stream: StreamId,
    room: Span,
    bytes: Span,
    message_in: usize,
    message_out: usize,
    partial: usize,
    owed: usize,
    exchanges: u64,
    may_send: bool,
    ended: bool,
    spans: Vec<Span>,
}

impl End {
    fn new(
        env: &mut Reactor,
        stream: StreamId,
        message_in: usize,
        message_out: usize,
    ) -> Result<Self, IoError> {
        let room = env.mem().take(256 << 10).ok_or(IoError::Limit)?;
        let bytes = env.mem().take(16 << 10).ok_or(IoError::Limit)?;
        env.mem().fill(bytes, 1);
        let (spans, may_send) = (Vec::with_capacity(128), true);
        Ok(Self {
            stream,
            room,
            bytes,
            message_in,
            message_out,
            partial: 0,
            owed: 0,
            exchanges: 0,
            may_send,
            ended: false,
            spans,
        })
    }

    fn run_until(
        &mut self,
        env: &mut Reactor,
        events: &mut Vec<Event>,
        span: Duration,
    ) -> Result<(), IoError> {
        let deadline = env.now() + span;
        self.send(env)?;
        while env.now() < deadline && !self.ended {
            self.turn(env, events, Some(deadline))?;
        }
        Ok(())
    }

    fn turn(
        &mut self,
        env: &mut Reactor,
        events: &mut Vec<Event>,
        deadline: Option<stdx::time::Time>,
    ) -> Result<(), IoError> {
        events.clear();
        env.poll(events, deadline);
        for event in events.iter() {
            match event.what {
                What::Readable(_) => self.receive(env)?,
                What::Writable(_) => self.may_send = true,
                What::Broken(_, error) => return Err(error),
                What::Acceptable(_) | What::FileDone { .. } | What::Woken => {}
                What::LinkAcceptable(_) | What::LinkReadable(_) => {}
                What::DatagramsReadable(_) | What::DatagramsWritable(_) => {}
            }
        }
        self.send(env)
    }

    fn receive(&mut self, env: &mut Reactor) -> Result<(), IoError> {
        match env.recv(self.stream, self.room) {
            Ok(0) | Err(IoError::Reset) => self.ended = true,
            Ok(len) => {
                self.partial += len;
                let messages = self.partial / self.message_in;
                self.partial %= self.message_in;
                self.exchanges += messages as u64;
                self.owed += messages * self.message_out;
                if len == self.room.len() {
                    return self.receive(env);
                }
            }
            Err(IoError::WouldBlock) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn send(&mut self, env: &mut Reactor) -> Result<(), IoError> {
        if self.owed == 0 || !self.may_send {
            return Ok(());
        }
        self.spans.clear();
        let mut left = self.owed;
        while left > 0 {
            let len = left.min(self.bytes.len());
            self.spans.push(self.bytes.first(len));
            left -= len;
        }
        match env.send(self.stream, &self.spans) {
            Ok(len) => {
                self.owed -= len;
                self.may_send = self.owed == 0;
                Ok(())
            }
            Err(IoError::WouldBlock) => {
                self.may_send = false;
                Ok(())
            }
            Err(IoError::Reset) => {
                self.ended = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

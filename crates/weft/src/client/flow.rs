//! Requests under way on a volume: the one loop that every command which moves data shares.

use super::{Client, Opened};
use crate::error::Failure;
use block::{Done, Info, Io, Op, Status};
use stdx::env::Env;
use stdx::mem::Span;

/// A volume in use by a command: what is submitted comes back by [`Flow::wait`], in any order.
#[derive(Debug)]
pub struct Flow {
    opened: Opened,
    done: Vec<Done>,
    early: Vec<Done>,
    under_way: usize,
}

/// A piece of a volume, in blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The first block.
    pub lba: u64,
    /// How many blocks.
    pub blocks: u32,
}

impl Flow {
    /// Begins to use the volume.
    pub fn new(opened: Opened) -> Self {
        Self { opened, done: Vec::new(), early: Vec::new(), under_way: 0 }
    }

    /// What the volume is.
    pub fn info(&self) -> Info {
        self.opened.device.info()
    }

    /// Requests submitted and not yet back.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Starts a request; the volume refuses only while it is busy, and then the others are driven until it is not.
    pub fn submit(
        &mut self,
        client: &mut Client,
        tag: u64,
        op: Op,
        piece: Piece,
        data: Span,
    ) -> Result<(), Failure> {
        let mut io = Io { tag, op, lba: piece.lba, blocks: piece.blocks, fua: false, lend: false, data };
        while let Err(refused) = self.opened.channel.submit(&mut client.env, io) {
            io = refused.0;
            // What completes meanwhile is kept for the next `poll`.
            let before = self.early.len();
            self.opened.channel.poll(&mut client.env, &mut self.early);
            if self.early.len() == before {
                client.turn()?;
            }
        }
        self.under_way += 1;
        Ok(())
    }

    /// Requests that are done, without waiting. What was submitted is on its way after this.
    pub fn poll(&mut self, client: &mut Client) -> &[Done] {
        self.done.clear();
        self.done.append(&mut self.early);
        self.opened.channel.poll(&mut client.env, &mut self.done);
        self.under_way -= self.done.len();
        &self.done
    }

    /// Requests that are done, waiting for the shard to do something if none is; perhaps none even so.
    pub fn wait(&mut self, client: &mut Client) -> Result<&[Done], Failure> {
        if self.poll(client).is_empty() && self.under_way > 0 {
            client.turn()?;
            self.poll(client);
        }
        Ok(&self.done)
    }

    /// Writes what is cached below to stable storage.
    pub fn flush(&mut self, client: &mut Client) -> Result<(), Failure> {
        assert_eq!(self.under_way, 0, "a flush is the last request");
        self.submit(client, 0, Op::Flush, Piece { lba: 0, blocks: 0 }, Span::EMPTY)?;
        loop {
            if let Some(done) = self.wait(client)?.first() {
                return check(done, "flush", 0);
            }
        }
    }
}

/// `Ok` unless the request failed.
pub fn check(done: &Done, what: &'static str, offset: u64) -> Result<(), Failure> {
    if done.status == Status::Ok { Ok(()) } else { Err(Failure::Io { what, offset, status: done.status }) }
}

/// The pieces of `blocks` blocks from `first` on, each of at most `step`.
pub fn pieces(first: u64, blocks: u64, step: u32) -> impl Iterator<Item = Piece> {
    (0..blocks.div_ceil(u64::from(step))).map(move |index| {
        let start = index * u64::from(step);
        Piece { lba: first + start, blocks: (blocks - start).min(u64::from(step)) as u32 }
    })
}

/// Takes a buffer, or says that there is none.
pub fn buffer(client: &mut Client, bytes: usize) -> Result<Span, Failure> {
    client.env.mem().take(bytes).ok_or(Failure::NoBuffer { bytes })
}

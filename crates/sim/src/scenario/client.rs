//! A machine that uses the volume: it asks for this and that, and remembers what it was told.

use crate::checker::{Content, Shadow};
use crate::env::NodeEnv;
use crate::network::NodeId;
use crate::world::SharedWorld;
use block::{BlockDevice, Channel, Done, Io, Op, Status};
use engine::url::VolumeUrl;
use engine::{Limits, Opening, Shard};
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::prng::Prng;

/// A using node.
pub(super) struct Client {
    shard: Shard,
    env: NodeEnv,
    prng: Prng,
    url: VolumeUrl,
    opening: Opening,
    volume: Option<(Rc<dyn BlockDevice>, Box<dyn Channel>)>,
    /// The client uses the volume no more.
    left: bool,
    /// The blocks that are this client's alone.
    first: u64,
    blocks: u64,
    pub(super) shadow: Shadow,
    under_way: BTreeMap<u64, Request>,
    next_tag: u64,
    depth: usize,
    /// What went wrong, in words.
    pub(super) wrong: Option<String>,
    pub(super) completed: u64,
    done: Vec<Done>,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    io: Io,
    content: Content,
    moment: u64,
    buffer: Span,
    expected: Span,
    /// What a compare has to find.
    equal: bool,
}

impl Client {
    /// A client on `node`, with `blocks` blocks from `first` on to itself.
    pub(super) fn new(
        world: &SharedWorld,
        node: NodeId,
        seed: u64,
        url: &VolumeUrl,
        first: u64,
        blocks: u64,
        block_size: u32,
    ) -> Self {
        let mut prng = Prng::new(seed);
        let limits = Limits { buffer_bytes: 16 << 20, ..Limits::default() };
        let mut env = NodeEnv::boot(world, node, limits.memory());
        let mut shard = Shard::new(&mut env, limits).expect("memory");
        let opening = shard.open(&mut env, "remote", url).expect("a URL of ours");
        let depth = prng.between(1, 24) as usize;
        Self {
            shard,
            env,
            prng,
            url: url.clone(),
            opening,
            volume: None,
            left: false,
            first,
            blocks,
            shadow: Shadow::new(block_size as usize),
            under_way: BTreeMap::new(),
            next_tag: 0,
            depth,
            wrong: None,
            completed: 0,
            done: Vec::new(),
        }
    }

    /// Requests under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Lets the shard do its work, takes what is done, and asks for more if `load` says so.
    pub(super) fn turn(&mut self, load: bool) {
        self.shard.turn(&mut self.env);
        self.shard.check();
        self.collect();
        if !self.left && self.under_way.is_empty() {
            match self.shard.opened(&self.opening) {
                Some(Ok(device)) if self.volume.is_none() => {
                    self.volume = Some((Rc::clone(&device), device.open()));
                }
                Some(Err(_)) => self.reopen(),
                Some(Ok(_)) | None => {}
            }
        }
        while load && self.volume.is_some() && self.under_way.len() < self.depth && self.ask() {}
        self.collect();
        self.env.rest(self.shard.deadline());
    }

    /// The target could not be reached for too long: try again.
    fn reopen(&mut self) {
        self.volume = None;
        self.shard.detach(&mut self.env, "remote").expect("it was attached");
        let url = self.url.clone();
        self.opening = self.shard.open(&mut self.env, "remote", &url).expect("a URL of ours");
    }

    /// Asks for something at random, on blocks that no request under way touches; false if there was nothing to ask.
    fn ask(&mut self) -> bool {
        let blocks = self.prng.between(1, PIECE.min(self.blocks));
        let lba = self.first + self.prng.below(self.blocks - blocks + 1);
        let op = match self.prng.below(20) {
            0..7 => Op::Read,
            7..14 => Op::Write,
            14 => Op::Zero { deallocate: self.prng.chance(1, 2) },
            15 => Op::Flush,
            16 => Op::Compare,
            17 => Op::CompareWrite { expected: Span::EMPTY },
            18 => Op::Verify,
            _ => Op::Discard,
        };
        let durable = self.prng.chance(1, 5);
        self.submit(op, lba, blocks as u32, durable)
    }

    /// Submits a request, unless one under way touches its blocks or there is no memory for it.
    fn submit(&mut self, op: Op, lba: u64, blocks: u32, fua: bool) -> bool {
        let touches = |other: &Request| {
            other.io.op != Op::Flush
                && other.io.lba < lba + u64::from(blocks)
                && lba < other.io.lba + u64::from(other.io.blocks)
        };
        if op != Op::Flush && self.under_way.values().any(touches) {
            return false;
        }
        let size = blocks as usize * self.shadow.block_size();
        let taken = if op.moves_data() { self.env.mem().take(size) } else { Some(Span::EMPTY) };
        let Some(buffer) = taken else { return false };
        let mut request = Request {
            io: Io {
                tag: self.next_tag,
                op,
                lba,
                blocks,
                fua: fua && op.is_write(),
                lend: false,
                data: buffer,
            },
            content: Content(0),
            moment: self.shadow.moment(),
            buffer,
            expected: Span::EMPTY,
            equal: true,
        };
        if !self.prepare(&mut request) {
            self.release(&request);
            return false;
        }
        let Some((_, channel)) = &mut self.volume else { return false };
        if channel.submit(&mut self.env, request.io).is_err() {
            self.release(&request);
            return false;
        }
        self.next_tag += 1;
        self.under_way.insert(request.io.tag, request);
        true
    }

    /// Fills the request's memory as its operation needs it.
    fn prepare(&mut self, request: &mut Request) -> bool {
        match request.io.op {
            Op::Write => {
                request.content = self.shadow.next_content();
                self.fill(request.buffer, request.io.lba, |_| Some(request.content))
            }
            Op::Compare => {
                request.equal = self.prng.chance(2, 3);
                self.fill_known(request.buffer, request.io.lba, request.equal)
            }
            Op::CompareWrite { .. } => {
                let Some(expected) = self.env.mem().take(request.buffer.len()) else { return false };
                request.expected = expected;
                request.io.op = Op::CompareWrite { expected };
                request.equal = self.prng.chance(2, 3);
                request.content = self.shadow.next_content();
                let content = request.content;
                self.fill_known(expected, request.io.lba, request.equal)
                    && self.fill(request.buffer, request.io.lba, |_| Some(content))
            }
            Op::Read
            | Op::Flush
            | Op::Zero { .. }
            | Op::Discard
            | Op::Verify
            | Op::MarkBad
            | Op::Copy { .. } => true,
        }
    }

    /// Fills with what the blocks hold, where that is known, or with what they cannot hold.
    fn fill_known(&mut self, into: Span, lba: u64, equal: bool) -> bool {
        let wrong = self.shadow.next_content();
        let known: Vec<_> = (0..into.len() / self.shadow.block_size())
            .map(|place| if equal { self.shadow.known(lba + place as u64) } else { Some(wrong) })
            .collect();
        self.fill(into, lba, |place| known[place])
    }

    fn fill(&mut self, into: Span, lba: u64, content: impl Fn(usize) -> Option<Content>) -> bool {
        let size = self.shadow.block_size();
        let mut bytes = vec![0; size];
        for place in 0..into.len() / size {
            let Some(content) = content(place) else { return false };
            content.fill(lba + place as u64, &mut bytes);
            self.env.mem().write(into.slice(place * size, size), &bytes);
        }
        true
    }

    fn release(&mut self, request: &Request) {
        for span in [request.buffer, request.expected].into_iter().filter(|span| !span.is_empty()) {
            self.env.mem().give(span);
        }
    }

    fn collect(&mut self) {
        let Some((_, channel)) = &mut self.volume else { return };
        let mut done = core::mem::take(&mut self.done);
        channel.poll(&mut self.env, &mut done);
        for done in done.drain(..) {
            match self.under_way.remove(&done.tag) {
                Some(request) => {
                    self.judge(&request, done.status);
                    self.release(&request);
                    self.completed += 1;
                }
                None => self.complain(format!("{done:?} was completed twice, or never asked for")),
            }
        }
        self.done = done;
    }

    /// Holds an answer against the truth.
    fn judge(&mut self, request: &Request, status: Status) {
        let Request { io, content, moment, equal, .. } = *request;
        match (io.op, status) {
            (Op::Read, Status::Ok) => {
                let mut bytes = vec![0; io.data.len()];
                self.env.mem().read(io.data, &mut bytes);
                if let Err(violation) = self.shadow.read(io.lba, &bytes) {
                    self.complain(format!("{io:?} gave what cannot be there: {violation:?}"));
                }
            }
            (Op::Flush, Status::Ok) => self.shadow.flushed(moment),
            (Op::Write | Op::Zero { .. }, Status::Ok) => {
                self.shadow.wrote(io.lba, io.blocks, content, io.fua)
            }
            (Op::CompareWrite { .. }, Status::Ok) if equal => {
                self.shadow.wrote(io.lba, io.blocks, content, io.fua);
            }
            // What was known when it was asked may have been taken back by a power cut since.
            (Op::Compare | Op::CompareWrite { .. }, Status::Miscompare { .. })
                if !equal || self.shadow.had_power_cut_since(moment) => {}
            (Op::Compare, Status::Ok) if equal => {}
            (Op::Compare | Op::CompareWrite { .. }, Status::Ok | Status::Miscompare { .. }) => {
                self.complain(format!("{io:?} ended as {status:?}, which is wrong"));
            }
            (Op::Discard, _) => self.shadow.may_have_written(io.lba, io.blocks, content),
            (op, _) if op.is_write() => self.shadow.may_have_written(io.lba, io.blocks, content),
            _ => {}
        }
    }

    fn complain(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// Asks to read the next piece of all that is this client's from `lba` on; says where the one after it begins.
    pub(super) fn read_next(&mut self, lba: u64) -> u64 {
        let end = self.first + self.blocks;
        let blocks = PIECE.min(end - lba);
        if self.volume.is_none() || !self.submit(Op::Read, lba, blocks as u32, false) {
            return lba;
        }
        self.collect();
        self.env.rest(self.shard.deadline());
        lba + blocks
    }

    /// The blocks that are this client's: the first, and the one after the last.
    pub(super) fn range(&self) -> (u64, u64) {
        (self.first, self.first + self.blocks)
    }

    /// Stops using the volume.
    pub(super) fn leave(&mut self) {
        self.volume = None;
        self.left = true;
        self.shard.detach(&mut self.env, "remote").expect("it is attached");
    }

    /// I/O buffers that are out.
    pub(super) fn buffers_taken(&mut self) -> usize {
        self.env.mem().buffers_taken()
    }
}

/// The longest request, in blocks.
const PIECE: u64 = 8;

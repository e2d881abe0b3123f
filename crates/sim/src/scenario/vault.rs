//! A user of an encrypted volume on the server itself, whose key is kept in a file and changes now and then: one request at a
//! time. What it wrote is there after a power cut as on any other volume, whichever key the machine comes back with; and once
//! a crypto erase is acknowledged, nothing of what was written before it is ever seen again.

use crate::checker::{Content, Shadow};
use crate::env::NodeEnv;
use block::{BlockDevice, Channel, Done, Io, Op, Status};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::prng::Prng;

/// See the module. It outlives the machine's crashes.
pub(super) struct Vault {
    prng: Prng,
    shadow: Shadow,
    /// `None` while the machine is down, or has not read its key yet.
    channel: Option<Box<dyn Channel>>,
    request: Option<Request>,
    /// An erase failed: nobody knows the key, and nothing works but another.
    is_lost: bool,
    /// Nothing is in the way any more: every request is to succeed.
    pub(super) calm: bool,
    /// What went wrong, in words.
    pub(super) wrong: Option<String>,
    done: Vec<Done>,
}

/// What is under way.
#[derive(Clone, Copy, Debug)]
struct Request {
    io: Io,
    content: Content,
    moment: u64,
}

impl Vault {
    pub(super) const fn new(block_size: u32, seed: u64) -> Self {
        Self {
            prng: Prng::new(seed),
            shadow: Shadow::new(block_size as usize, 0),
            channel: None,
            request: None,
            is_lost: false,
            calm: false,
            wrong: None,
            done: Vec::new(),
        }
    }

    /// The machine loses its power.
    pub(super) fn power_cut(&mut self) {
        if let Some(request) = self.request.take() {
            self.judge_failed(&request);
        }
        (self.channel, self.is_lost) = (None, false);
        self.shadow.power_cut();
    }

    /// Sees how the last request ended, and begins another if `load` says so. `device` is there once its key is.
    pub(super) fn turn(&mut self, env: &mut NodeEnv, device: Option<&dyn BlockDevice>, load: bool) {
        if self.channel.is_none() {
            self.channel = device.map(BlockDevice::open);
        }
        self.collect(env);
        if load && self.request.is_none() && self.channel.is_some() {
            self.begin(env);
        }
    }

    /// The end: nothing more is asked for. True once the volume is not in use any more.
    pub(super) fn ends(&mut self, env: &mut NodeEnv) -> bool {
        self.collect(env);
        if self.is_idle() {
            self.channel = None;
        }
        self.is_idle()
    }

    fn collect(&mut self, env: &mut NodeEnv) {
        let Some(channel) = &mut self.channel else { return };
        channel.poll(env, &mut self.done);
        for done in core::mem::take(&mut self.done) {
            match self.request.take() {
                Some(request) => {
                    self.judge(env, &request, done.status);
                    if !request.io.data.is_empty() {
                        env.mem().give(request.io.data);
                    }
                }
                None => self.wrong = Some(format!("the vault: {done:?} was never asked for")),
            }
        }
    }

    /// True if nothing is under way.
    pub(super) const fn is_idle(&self) -> bool {
        self.request.is_none()
    }

    fn begin(&mut self, env: &mut NodeEnv) {
        let op = match self.prng.below(20) {
            _ if self.is_lost => Op::CryptoErase,
            0 => Op::CryptoErase,
            1 | 2 => Op::Flush,
            3 => Op::Zero { deallocate: true },
            4..11 => Op::Write,
            _ => Op::Read,
        };
        let lba = self.prng.below(VAULT_BLOCKS);
        let data = if op.moves_data() { env.mem().take(self.shadow.block_size()) } else { Some(Span::EMPTY) };
        let Some(data) = data else { return };
        let content = self.shadow.next_content();
        if op == Op::Write {
            let mut bytes = vec![0; data.len()];
            content.fill(lba, &mut bytes);
            env.mem().write(data, &bytes);
        }
        let blocks = if matches!(op, Op::CryptoErase | Op::Flush) { 0 } else { 1 };
        let lba = if blocks == 0 { 0 } else { lba };
        let fua = op.is_write() && self.prng.chance(1, 3);
        let io = Io { tag: 0, op, lba, blocks, fua, lend: false, data };
        let channel = self.channel.as_mut().expect("it was opened");
        if channel.submit(env, io).is_err() {
            self.wrong = Some("the vault: refused with nothing under way".into());
        }
        self.request = Some(Request { io, content, moment: self.shadow.moment() });
    }

    fn judge(&mut self, env: &mut NodeEnv, request: &Request, status: Status) {
        let Request { io, content, moment } = *request;
        if status != Status::Ok {
            if self.calm && !self.is_lost {
                self.wrong = Some(format!("the vault: {io:?} ended as {status:?} in a calm world"));
            }
            self.is_lost |= io.op == Op::CryptoErase;
            return self.judge_failed(request);
        }
        match io.op {
            Op::Read => {
                let mut bytes = vec![0; io.data.len()];
                env.mem().read(io.data, &mut bytes);
                if let Err(violation) = self.shadow.read(io.lba, &bytes) {
                    self.wrong = Some(format!("the vault: {io:?} gave what cannot be there: {violation:?}"));
                }
            }
            Op::Write => self.shadow.wrote(io.lba, io.blocks, content, io.fua),
            Op::Zero { .. } => self.shadow.wrote(io.lba, io.blocks, Content(0), io.fua),
            Op::Flush => self.shadow.flushed(moment),
            Op::CryptoErase => {
                self.is_lost = false;
                self.shadow.erased();
            }
            _never_asked => {}
        }
    }

    /// Nobody knows what a request did.
    fn judge_failed(&mut self, request: &Request) {
        let Request { io, content, .. } = *request;
        match io.op {
            Op::Write => self.shadow.may_have_written(io.lba, io.blocks, content),
            Op::Zero { .. } => {
                self.shadow.may_have_written(io.lba, io.blocks, Content(0));
            }
            Op::CryptoErase => self.shadow.may_be_erased(),
            _changes_nothing => {}
        }
    }
}

/// Blocks of the encrypted volume.
pub(super) const VAULT_BLOCKS: u64 = 8;

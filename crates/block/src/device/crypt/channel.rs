//! A user's way to an encrypting device: writes go down from a buffer of ciphertext, reads are decrypted where they belong.

use super::super::UNDER_WAY_MAX;
use super::Shared;
use crate::{Channel, Done, Info, Io, Op, Refused, Status};
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;
use stdx::env::Env;
use stdx::mem::{Memory, Span};
use stdx::slab::{Key, Slab};
use stdx::time::earliest;

#[derive(Debug)]
pub(super) struct CryptChannel {
    shared: Rc<Shared>,
    base: Box<dyn Channel>,
    /// Its number among the channels that the device ever had.
    number: u64,
    under_way: Slab<Below>,
    /// Writes that wait for a buffer, in order.
    waiting: VecDeque<Io>,
    /// Requests that never reached the base.
    ready: Vec<Done>,
    /// Reused from poll to poll.
    finished: Vec<Done>,
    /// Where blocks are ciphered: memory of a region may be written by others meanwhile.
    bench: Box<[u8; BLOCK_MAX]>,
}

/// A request that the base works on.
#[derive(Debug)]
struct Below {
    io: Io,
    /// The ciphertext of a write; empty for other requests.
    cipher: Span,
}

/// Why a request does not go down.
enum Hold {
    /// There is no buffer.
    Buffer,
    /// The base takes no more.
    Full,
}

/// Which way blocks are ciphered.
#[derive(Clone, Copy)]
enum Way {
    Encrypt,
    Decrypt,
}

impl CryptChannel {
    pub(super) fn new(shared: Rc<Shared>, base: Box<dyn Channel>, number: u64) -> Self {
        Self {
            shared,
            base,
            number,
            under_way: Slab::new(UNDER_WAY_MAX),
            waiting: VecDeque::new(),
            ready: Vec::new(),
            finished: Vec::new(),
            bench: Box::new([0; BLOCK_MAX]),
        }
    }

    /// How the request ends without the base, if it does.
    fn settled(&self, info: &Info, io: &Io) -> Option<Status> {
        if self.shared.closed.get() {
            return Some(Status::Gone);
        }
        let lost = self.shared.erase.borrow().is_lost();
        match io.op {
            Op::Compare | Op::CompareWrite { .. } | Op::OrWrite | Op::Verify => Some(Status::Unsupported),
            Op::MarkBad | Op::Copy { .. } => Some(Status::Unsupported),
            Op::Read if lost => Some(Status::ReadError),
            Op::Write | Op::Zero { .. } | Op::Discard if lost => Some(Status::WriteError),
            Op::Read | Op::Write | Op::Zero { .. } | Op::Discard | Op::Flush | Op::CryptoErase => {
                Some(io.check(info)).filter(|status| *status != Status::Ok)
            }
        }
    }

    /// Gives the base a request, a write from a buffer of ciphertext.
    fn go_down(&mut self, env: &mut dyn Env, info: &Info, io: Io) -> Result<(), Hold> {
        let cipher = match io.op {
            Op::Write if !io.data.is_empty() => self.encrypted(env, info, &io).ok_or(Hold::Buffer)?,
            _ => Span::EMPTY,
        };
        let data = if cipher.is_empty() { io.data } else { cipher };
        let below = self.under_way.insert(Below { io, cipher });
        let lend = io.op == Op::Read;
        let taken = below.as_ref().is_ok_and(|key| {
            let io = Io { tag: key.as_u64(), data, lend, ..io };
            self.base.submit(env, io).is_ok()
        });
        if taken {
            return Ok(());
        }
        if let Ok(key) = below {
            self.under_way.remove(key);
        }
        if !cipher.is_empty() {
            env.mem().give(cipher);
        }
        Err(Hold::Full)
    }

    /// A write's data, encrypted into a buffer; `None` while there is none.
    fn encrypted(&mut self, env: &mut dyn Env, info: &Info, io: &Io) -> Option<Span> {
        let buffer = env.mem().take(io.data.len())?;
        self.cipher(env.mem(), info, Way::Encrypt, (io.lba, io.data, buffer));
        Some(buffer)
    }

    /// Ciphers blocks on their way from one span to another of the same length, which may be the same.
    fn cipher(&mut self, mem: &mut Memory, info: &Info, way: Way, (lba, from, to): (u64, Span, Span)) {
        let size = info.block_size as usize;
        let xts = self.shared.cipher.borrow();
        let block = &mut self.bench[..size];
        for (number, start) in (lba..).zip((0..from.len()).step_by(size)) {
            mem.read(from.slice(start, size), block);
            match way {
                Way::Encrypt => xts.encrypt(number, block),
                // What was never written.
                Way::Decrypt if block.iter().all(|&byte| byte == 0) => {}
                Way::Decrypt => xts.decrypt(number, block),
            }
            mem.write(to.slice(start, size), block);
        }
    }

    /// The base is done with a request.
    fn finish(&mut self, env: &mut dyn Env, info: &Info, one: Done, done: &mut Vec<Done>) {
        let Some(Below { io, cipher }) = self.under_way.remove(Key::from_u64(one.tag)) else { return };
        if !cipher.is_empty() {
            env.mem().give(cipher);
        }
        if io.op != Op::Read || one.status != Status::Ok {
            return done.push(Done { tag: io.tag, status: one.status, data: Span::EMPTY });
        }
        if self.shared.erase.borrow().is_lost() {
            return done.push(Done { tag: io.tag, status: Status::ReadError, data: Span::EMPTY });
        }
        self.cipher(env.mem(), info, Way::Decrypt, (io.lba, one.data, io.data));
        done.push(Done { tag: io.tag, status: Status::Ok, data: io.data });
    }

    /// Lets writes go down that waited for a buffer; true if any did.
    fn go_on(&mut self, env: &mut dyn Env, info: &Info) -> bool {
        let mut any = false;
        while let Some(&io) = self.waiting.front() {
            match self.settled(info, &io) {
                Some(status) => self.ready.push(Done { tag: io.tag, status, data: Span::EMPTY }),
                None if self.go_down(env, info, io).is_ok() => any = true,
                None => {
                    self.retry_soon(env);
                    break;
                }
            }
            self.waiting.pop_front();
        }
        any
    }

    fn retry_soon(&self, env: &dyn Env) {
        self.shared.retry_at.set(earliest(self.shared.retry_at.get(), Some(env.now() + WAIT)));
    }
}

impl Channel for CryptChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        let here = self.under_way.len() + self.waiting.len() + self.ready.len();
        if here + self.shared.erase.borrow().count(self.number) >= UNDER_WAY_MAX {
            return Err(Refused(io));
        }
        let info = self.shared.info();
        if let Some(status) = self.settled(&info, &io) {
            self.ready.push(Done { tag: io.tag, status, data: Span::EMPTY });
            return Ok(());
        }
        if io.op == Op::CryptoErase {
            self.shared.erase.borrow_mut().begin(env, self.number, io.tag);
            return Ok(());
        }
        match self.go_down(env, &info, io) {
            Ok(()) => Ok(()),
            // A base with nothing of this channel's takes it, but the word is ours where writes wait here.
            Err(Hold::Full) if here > 0 => Err(Refused(io)),
            Err(Hold::Full | Hold::Buffer) => {
                self.waiting.push_back(io);
                self.retry_soon(env);
                Ok(())
            }
        }
    }

    /// Only a base that lends works at once: for others all the ciphering would be in vain.
    fn perform(&mut self, env: &mut dyn Env, io: &Io) -> Option<Span> {
        let info = self.shared.info();
        let moves = matches!(io.op, Op::Read | Op::Write) && !io.data.is_empty();
        if !moves || !self.shared.base.info().lends || self.settled(&info, io).is_some() {
            return None;
        }
        if io.op == Op::Read {
            let found = self.base.perform(env, &Io { lend: true, ..*io })?;
            self.cipher(env.mem(), &info, Way::Decrypt, (io.lba, found, io.data));
            return Some(io.data);
        }
        let cipher = self.encrypted(env, &info, io)?;
        let written = self.base.perform(env, &Io { data: cipher, ..*io });
        env.mem().give(cipher);
        written.map(|_| Span::EMPTY)
    }

    /// A write's buffer is the base's until it is done; a read has none.
    fn withdraw(&mut self, tag: u64) -> bool {
        if let Some(place) = self.waiting.iter().position(|io| io.tag == tag) {
            self.waiting.remove(place);
            return true;
        }
        let is_it = |below: &Below| below.io.tag == tag && below.cipher.is_empty();
        let found = self.under_way.iter().find(|(_, below)| is_it(below)).map(|(key, _)| key);
        let withdrawn = found.filter(|key| self.base.withdraw(key.as_u64()));
        withdrawn.and_then(|key| self.under_way.remove(key)).is_some()
    }

    fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<Done>) {
        let info = self.shared.info();
        let mut finished = core::mem::take(&mut self.finished);
        // What ends gives a buffer back, which another may have waited for, which a quick base ends at once.
        let mut more = true;
        while more {
            self.base.poll(env, &mut finished);
            for one in finished.drain(..) {
                self.finish(env, &info, one, done);
            }
            more = self.go_on(env, &info);
        }
        self.finished = finished;
        self.shared.erase.borrow_mut().poll(self.number, done);
        done.append(&mut self.ready);
    }
}

impl Drop for CryptChannel {
    fn drop(&mut self) {
        self.shared.erase.borrow_mut().forget(self.number);
    }
}

/// Bytes of the longest block.
const BLOCK_MAX: usize = 4096;

/// How long to wait before asking for a buffer again.
const WAIT: Duration = Duration::from_micros(200);

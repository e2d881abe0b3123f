//! A device made to fail: requests of a kind fail, hang, are refused or come out corrupted, a given number of times. For
//! seeing what errors do to what lies above.

use crate::{BlockDevice, Channel, Done, Extent, Info, Io, Op, Refused, Status};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use stdx::env::{Env, Event};
use stdx::mem::{Memory, Span};
use stdx::slab::{Key, Slab};
use stdx::time::Time;

/// Which requests are hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// [`Op::Read`].
    Read,
    /// [`Op::Write`].
    Write,
    /// [`Op::Flush`].
    Flush,
    /// [`Op::Zero`].
    Zero,
    /// [`Op::Discard`].
    Discard,
    /// All of these.
    All,
}

/// What happens to a request that is hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Injection {
    /// It fails as on a broken medium.
    Failure,
    /// It hangs until hanging requests are resumed (then it is carried out), the injection is cleared (then it is
    /// [`Status::Aborted`]) or the device closed.
    Pending,
    /// One byte of its data is another. Requests that move no data, or less than that, are spared.
    Corrupt {
        /// Which byte, from the start of the data.
        offset: u32,
        /// The bits that are flipped in it.
        flip: u8,
    },
    /// It is refused, unless nothing is under way on its channel: then it is spared, as the contract demands.
    Refusal,
}

/// A device and what is to go wrong with it. Closing it closes the device below.
#[derive(Debug)]
pub struct Error {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    base: Rc<dyn BlockDevice>,
    /// By kind of request: what happens to it, and how often still.
    planned: RefCell<[Option<(Injection, u64)>; KINDS]>,
    /// How often injections of a kind were cleared: requests that hang since before are let go.
    cleared: Cell<[u64; KINDS]>,
    /// How often hanging requests were resumed: those that hang since before go on.
    resumed: Cell<u64>,
    closed: Cell<bool>,
}

impl Error {
    /// `base`, with nothing wrong yet.
    pub fn new(base: Rc<dyn BlockDevice>) -> Self {
        let (planned, cleared, resumed) = (RefCell::default(), Cell::default(), Cell::default());
        Self { shared: Rc::new(Shared { base, planned, cleared, resumed, closed: Cell::new(false) }) }
    }

    /// Lets the next `count` requests of each kind aimed at go wrong, instead of what was planned for them before.
    pub fn inject(&self, target: Target, injection: Injection, count: u64) {
        let plan = (count > 0).then_some((injection, count));
        kinds(target).for_each(|kind| self.shared.planned.borrow_mut()[kind] = plan);
    }

    /// Plans nothing any more for these requests, and lets go of those that hang.
    pub fn clear(&self, target: Target) {
        let mut cleared = self.shared.cleared.get();
        for kind in kinds(target) {
            self.shared.planned.borrow_mut()[kind] = None;
            cleared[kind] += 1;
        }
        self.shared.cleared.set(cleared);
    }

    /// Lets no further request hang, and has those that do carried out as if they came now. Other injections stay.
    pub fn resume(&self) {
        for plan in self.shared.planned.borrow_mut().iter_mut() {
            plan.take_if(|(injection, _)| *injection == Injection::Pending);
        }
        self.shared.resumed.set(self.shared.resumed.get() + 1);
    }
}

impl Shared {
    /// What is to happen to this request, counted as having happened.
    fn strike(&self, io: &Io, idle: bool) -> Option<Injection> {
        let kind = kind(io.op)?;
        let mut planned = self.planned.borrow_mut();
        let (injection, left) = planned[kind]?;
        let spared = match injection {
            Injection::Corrupt { offset, .. } => !io.op.moves_data() || offset >= io.data.len,
            Injection::Refusal => idle,
            Injection::Failure | Injection::Pending => false,
        };
        if spared {
            return None;
        }
        planned[kind] = (left > 1).then_some((injection, left - 1));
        Some(injection)
    }
}

impl BlockDevice for Error {
    /// Corruption must not reach the base's own memory: nothing is lent.
    fn info(&self) -> Info {
        Info { lends: false, ..self.shared.base.info() }
    }

    fn open(&self) -> Box<dyn Channel> {
        Box::new(ErrorChannel {
            shared: self.shared.clone(),
            base: self.shared.base.open(),
            under_way: Slab::new(super::UNDER_WAY_MAX),
            hanging: Vec::new(),
            ready: Vec::new(),
            finished: Vec::new(),
        })
    }

    fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.shared.base.handle_event(env, event);
    }

    fn extent(&self, env: &mut dyn Env, lba: u64) -> Extent {
        self.shared.base.extent(env, lba)
    }

    fn deadline(&self) -> Option<Time> {
        self.shared.base.deadline()
    }

    fn handle_timeout(&self, env: &mut dyn Env) {
        self.shared.base.handle_timeout(env);
    }

    fn resize(&self, env: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        self.shared.base.resize(env, blocks)
    }

    fn close(&self, env: &mut dyn Env) {
        self.shared.closed.set(true);
        self.shared.base.close(env);
    }
}

#[derive(Debug)]
struct ErrorChannel {
    shared: Rc<Shared>,
    base: Box<dyn Channel>,
    under_way: Slab<Below>,
    hanging: Vec<Hanging>,
    ready: Vec<Done>,
    /// Reused from poll to poll.
    finished: Vec<Done>,
}

/// A request that the base works on.
#[derive(Debug)]
struct Below {
    io: Io,
    /// The byte that is corrupted, and the bits flipped in it.
    corrupt: Option<(u32, u8)>,
}

/// A request that hangs, and how often its kind had been cleared, and all had been resumed, when it came.
#[derive(Debug)]
struct Hanging {
    io: Io,
    kind: usize,
    cleared: u64,
    resumed: u64,
}

impl Channel for ErrorChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        let under_way = self.under_way.len() + self.hanging.len() + self.ready.len();
        if under_way >= super::UNDER_WAY_MAX {
            return Err(Refused(io));
        }
        if self.shared.closed.get() {
            return self.pass(env, io, None);
        }
        let struck = self.shared.strike(&io, under_way == 0);
        self.start(env, io, struck)
    }

    /// What hangs has not begun.
    fn withdraw(&mut self, tag: u64) -> bool {
        let place = self.hanging.iter().position(|hanging| hanging.io.tag == tag);
        place.map(|place| self.hanging.remove(place)).is_some()
    }

    fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<Done>) {
        self.let_go(done);
        self.go_on(env);
        done.append(&mut self.ready);
        self.base.poll(env, &mut self.finished);
        for one in self.finished.drain(..) {
            let Some(Below { io, corrupt }) = self.under_way.remove(Key::from_u64(one.tag)) else { continue };
            // A write's memory gets its own byte back; a read's gets a wrong one.
            if let (Some((offset, bits)), true) = (corrupt, io.op != Op::Read || one.status == Status::Ok) {
                flip(env.mem(), io.data, offset, bits);
            }
            done.push(Done { tag: io.tag, ..one });
        }
    }
}

impl ErrorChannel {
    /// Begins a request, with what is to happen to it.
    fn start(&mut self, env: &mut dyn Env, io: Io, struck: Option<Injection>) -> Result<(), Refused> {
        match struck {
            None => self.pass(env, io, None),
            Some(Injection::Corrupt { offset, flip }) => self.pass(env, io, Some((offset, flip))),
            Some(Injection::Refusal) => Err(Refused(io)),
            Some(Injection::Failure) => {
                let status = if io.op == Op::Read { Status::ReadError } else { Status::WriteError };
                self.ready.push(Done { tag: io.tag, status, data: Span::EMPTY });
                Ok(())
            }
            Some(Injection::Pending) => {
                if let Some(kind) = kind(io.op) {
                    let (cleared, resumed) = (self.shared.cleared.get()[kind], self.shared.resumed.get());
                    self.hanging.push(Hanging { io, kind, cleared, resumed });
                }
                Ok(())
            }
        }
    }

    fn pass(&mut self, env: &mut dyn Env, io: Io, corrupt: Option<(u32, u8)>) -> Result<(), Refused> {
        let key = self.under_way.insert(Below { io, corrupt }).map_err(|below| Refused(below.io))?;
        let written = corrupt.filter(|_| io.op != Op::Read);
        if let Some((offset, bits)) = written {
            flip(env.mem(), io.data, offset, bits);
        }
        self.base.submit(env, Io { tag: key.as_u64(), lend: false, ..io }).map_err(|_| {
            self.under_way.remove(key);
            if let Some((offset, bits)) = written {
                flip(env.mem(), io.data, offset, bits);
            }
            Refused(io)
        })
    }

    fn let_go(&mut self, done: &mut Vec<Done>) {
        let (closed, cleared) = (self.shared.closed.get(), self.shared.cleared.get());
        let status = if closed { Status::Gone } else { Status::Aborted };
        self.hanging.retain(|hanging| {
            let hangs = !closed && cleared[hanging.kind] == hanging.cleared;
            if !hangs {
                done.push(Done { tag: hanging.io.tag, status, data: Span::EMPTY });
            }
            hangs
        });
    }

    /// Submits what hung and was resumed, in its order, as far as the base takes it: the rest follows when the base has
    /// done something.
    fn go_on(&mut self, env: &mut dyn Env) {
        let resumed = self.shared.resumed.get();
        let is_resumed = |hanging: &Hanging| hanging.resumed < resumed;
        while let Some(place) = self.hanging.iter().position(is_resumed) {
            let hanging = self.hanging.remove(place);
            let spared = self.under_way.is_empty();
            let struck = self.shared.strike(&hanging.io, spared);
            if self.start(env, hanging.io, struck).is_err() {
                self.hanging.insert(place, hanging);
                return;
            }
        }
    }
}

fn flip(mem: &mut Memory, data: Span, offset: u32, bits: u8) {
    let mut byte = [0];
    let at = data.slice(offset as usize, 1);
    mem.read(at, &mut byte);
    mem.write(at, &[byte[0] ^ bits]);
}

/// The place of an operation in the tables; `None` for what is made of others.
const fn kind(op: Op) -> Option<usize> {
    match op {
        Op::Read => Some(0),
        Op::Write => Some(1),
        Op::Flush => Some(2),
        Op::Zero { .. } => Some(3),
        Op::Discard => Some(4),
        Op::Compare | Op::CompareWrite { .. } | Op::OrWrite | Op::Verify | Op::MarkBad | Op::Copy { .. } => {
            None
        }
        Op::CryptoErase => None,
    }
}

fn kinds(target: Target) -> core::ops::Range<usize> {
    match target {
        Target::Read => 0..1,
        Target::Write => 1..2,
        Target::Flush => 2..3,
        Target::Zero => 3..4,
        Target::Discard => 4..5,
        Target::All => 0..KINDS,
    }
}

const KINDS: usize = 5;

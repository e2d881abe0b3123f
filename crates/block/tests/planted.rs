//! Devices with planted bugs: the suite finds each of them. A suite that never found a bug is not known to work.

use block::conformance::{self, Fault, Promises, Setting};
use block::device::{Geometry, Ram};
use block::{BlockDevice, Channel, Done, Identity, Info, Io, Op, Refused, Status, Volume};
use std::rc::Rc;
use stdx::env::Env;
use stdx::testing::TestEnv;

/// What is wrong with a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// One write in 50 goes to the next block.
    Misplaced,
    /// One write in 50 is dropped.
    Dropped,
    /// One completion in 50 is told twice.
    Twice,
    /// One completion in 50 is never told.
    Silent,
    /// Refused requests come back without their tag.
    Altered,
    /// Refuses though nothing is under way.
    RefusesIdle,
    /// Zeroes a block too few.
    ZeroesShort,
    /// Requests past the end succeed.
    Unbounded,
    /// Growing forgets to grow.
    DoesNotGrow,
    /// A closed device still answers.
    NeverCloses,
    /// One write in 50 has a wrong byte.
    Corrupts,
    /// Keeps a buffer.
    Leaks,
}

const ALL: [Bug; 12] = [
    Bug::Misplaced,
    Bug::Dropped,
    Bug::Twice,
    Bug::Silent,
    Bug::Altered,
    Bug::RefusesIdle,
    Bug::ZeroesShort,
    Bug::Unbounded,
    Bug::DoesNotGrow,
    Bug::NeverCloses,
    Bug::Corrupts,
    Bug::Leaks,
];

#[derive(Debug)]
struct Broken {
    base: Rc<dyn BlockDevice>,
    bug: Bug,
}

impl BlockDevice for Broken {
    fn info(&self) -> Info {
        self.base.info()
    }

    fn open(&self) -> Box<dyn Channel> {
        Box::new(BrokenChannel { base: self.base.open(), info: self.info(), bug: self.bug, seen: 0 })
    }

    fn resize(&self, env: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        if self.bug == Bug::DoesNotGrow { Ok(()) } else { self.base.resize(env, blocks) }
    }

    fn close(&self, env: &mut dyn Env) {
        if self.bug != Bug::NeverCloses {
            self.base.close(env);
        }
    }
}

#[derive(Debug)]
struct BrokenChannel {
    base: Box<dyn Channel>,
    info: Info,
    bug: Bug,
    seen: u64,
}

impl BrokenChannel {
    /// True for one request in 50.
    fn strikes(&mut self) -> bool {
        self.seen += 1;
        self.seen.is_multiple_of(50)
    }

    /// The request as the bug has it.
    fn mangle(&mut self, mut io: Io) -> Io {
        match (self.bug, io.op) {
            (Bug::Misplaced, Op::Write)
                if io.check(&self.info) == Status::Ok && io.lba + 300 < self.info.blocks =>
            {
                io.lba += u64::from(self.strikes());
            }
            (Bug::Dropped, Op::Write) if io.check(&self.info) == Status::Ok && self.strikes() => {
                io.op = Op::Read
            }
            (Bug::ZeroesShort, Op::Zero { .. }) => io.blocks = io.blocks.saturating_sub(1),
            (Bug::Unbounded, Op::Zero { .. } | Op::Discard) => {
                io.lba = io.lba.min(self.info.blocks);
                io.blocks = u64::from(io.blocks).min(self.info.blocks - io.lba) as u32;
            }
            _ => {}
        }
        io
    }
}

impl Channel for BrokenChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        if self.bug == Bug::RefusesIdle && self.strikes() {
            return Err(Refused(io));
        }
        if self.bug == Bug::Leaks && self.strikes() {
            env.mem().take(1);
        }
        if self.bug == Bug::Corrupts && io.op == Op::Write && self.strikes() && !io.data.is_empty() {
            env.mem().write(io.data, &[0x5a]);
        }
        let mangled = self.mangle(io);
        self.base.submit(env, mangled).map_err(|Refused(back)| {
            let tag = if self.bug == Bug::Altered { 0 } else { back.tag };
            Refused(Io { tag, ..io })
        })
    }

    fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<Done>) {
        self.base.poll(env, done);
        if let (Bug::Twice, Some(&last)) = (self.bug, done.last())
            && self.strikes()
        {
            done.push(last);
        }
        if self.bug == Bug::Silent && self.strikes() {
            done.pop();
        }
    }
}

struct Bench {
    world: TestEnv,
    bug: Option<Bug>,
}

impl Setting for Bench {
    fn env(&mut self) -> &mut dyn Env {
        &mut self.world
    }

    fn make(&mut self) -> Rc<dyn BlockDevice> {
        let ram = Ram::new(&mut self.world, Geometry::new(512, 1000).unwrap()).unwrap();
        match self.bug {
            Some(bug) => Rc::new(Broken { base: Rc::new(ram), bug }),
            None => Rc::new(ram),
        }
    }

    fn promises(&self) -> Promises {
        Promises { keeps: true, grows: true, composes: false }
    }
}

fn examine(bug: Option<Bug>) -> Result<(), Fault> {
    conformance::run(&mut Bench { world: TestEnv::seeded(1, 256 << 20), bug }, 1)
}

#[test]
fn every_planted_bug_is_found() {
    assert_eq!(examine(None), Ok(()));
    for bug in ALL {
        let found = examine(Some(bug)).expect_err(&format!("{bug:?} was not found"));
        let fits = match bug {
            Bug::Misplaced | Bug::Dropped | Bug::Corrupts => matches!(found, Fault::Content { .. }),
            Bug::ZeroesShort => matches!(found, Fault::Content { .. }),
            Bug::Twice => matches!(found, Fault::Unasked { .. }),
            Bug::Silent => matches!(found, Fault::Silent { .. }),
            Bug::Altered => matches!(found, Fault::Altered { .. }),
            Bug::RefusesIdle => matches!(found, Fault::RefusedIdle { .. }),
            Bug::Unbounded | Bug::NeverCloses => matches!(found, Fault::Outcome { .. }),
            Bug::DoesNotGrow => matches!(found, Fault::Size { .. }),
            Bug::Leaks => matches!(found, Fault::Leak { .. }),
        };
        assert!(fits, "{bug:?} was taken for {found:?}");
    }
}

/// A volume over a device that loses one write in 50 does not hide it.
#[test]
fn a_volume_hides_no_bug() {
    struct Above(Bench);
    impl Setting for Above {
        fn env(&mut self) -> &mut dyn Env {
            self.0.env()
        }

        fn make(&mut self) -> Rc<dyn BlockDevice> {
            Rc::new(Volume::new(self.0.make(), Identity::default()))
        }

        fn promises(&self) -> Promises {
            Promises { composes: true, ..self.0.promises() }
        }
    }
    let bench = Bench { world: TestEnv::seeded(1, 256 << 20), bug: Some(Bug::Dropped) };
    assert!(conformance::run(&mut Above(bench), 1).is_err());
}

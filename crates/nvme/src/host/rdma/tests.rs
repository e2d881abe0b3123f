//! A queue against a controller that answers as a test says, on one loopback device.

mod golden;

use super::queue::{Context, Parameters, QueuePair, State};
use super::{QueueEnd, link};
use crate::host::queue::{Data, InCapsule};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use stdx::conformance::still::StillEnv;
use stdx::env::Env;
use stdx::mem::{Kind, Span};
use stdx::slab::Key;
use verbs::endpoint::{Endpoint, Happening, Options};
use verbs::loopback::Loopback;
use verbs::{Access, Connections, Data as Bytes, Key as MemoryKey, PortSpace, Provider, Remote};
use wire::nvme::rdma::{PRIVATE_DATA_LEN, QueueAccept, RejectStatus};
use wire::nvme::{CompletionQueueEntry, NvmOpcode, Sgl, Status, SubmissionQueueEntry};

const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4420);
const OURS: u64 = 1 << 32;
const THEIRS: u64 = 2 << 32;
const ENTRIES: u16 = 8;
const LEN: usize = 4096;
/// Bytes of the longest capsule.
const CAPSULE_MAX: u32 = 64 + (16 << 10);

struct Bench {
    env: StillEnv,
    device: Loopback,
    ours: Endpoint,
    theirs: Endpoint,
    queue: QueuePair,
    memory: Span,
    /// The controller's end.
    peer: Option<Key>,
    capsules: Vec<SubmissionQueueEntry>,
    /// The last capsule, with its data.
    last: Vec<u8>,
    /// The words in which the queue was asked for.
    asked: Vec<u8>,
    /// In which words the controller refuses queues, if it does.
    refusal: Option<Vec<u8>>,
}

impl Bench {
    fn new(receives: u16) -> Self {
        Self::with(parameters(), receives)
    }

    /// A queue of this kind, whose controller has so many receives.
    fn with(parameters: Parameters, receives: u16) -> Self {
        let mut bench = Self::idle(parameters);
        bench.ask(receives);
        bench
    }

    /// A queue that has asked for nothing yet.
    fn idle(parameters: Parameters) -> Self {
        let mut env = StillEnv::new(1);
        let mut device = Loopback::new(verbs::Limits::default(), ADDRESS.ip());
        let access = Access::LOCAL_WRITE.with(Access::REMOTE_READ).with(Access::REMOTE_WRITE);
        let options = Options {
            connections_max: 1,
            receives: 16,
            receive_len: CAPSULE_MAX,
            sends: 32,
            pieces: 3,
            inline_bytes: 64,
            access,
        };
        let ours = Endpoint::new(&mut env, &mut device, OURS, options).unwrap();
        let mut theirs = Endpoint::new(&mut env, &mut device, THEIRS, options).unwrap();
        theirs.listen(&mut device, PortSpace::Tcp, ADDRESS).unwrap();
        let region = env.mem().map(Kind::Shared, 1 << 20).unwrap();
        let memory = env.mem().whole(region);
        let queue = QueuePair::new(parameters);
        let (peer, capsules, last, asked) = (None, Vec::new(), Vec::new(), Vec::new());
        let refusal = None;
        Self { env, device, ours, theirs, queue, memory, peer, capsules, last, asked, refusal }
    }

    fn ask(&mut self, receives: u16) {
        self.act(|queue, cx| queue.ask(cx, ADDRESS));
        self.settle(receives);
    }

    /// How a queue ends that is refused in these words.
    fn refused(words: &[u8]) -> State {
        let mut bench = Self::idle(parameters());
        bench.refusal = Some(words.to_vec());
        bench.ask(ENTRIES);
        bench.queue.state()
    }

    fn connected() -> Self {
        let bench = Self::new(ENTRIES);
        assert_eq!(bench.queue.state(), State::Established);
        bench
    }

    fn act(&mut self, act: impl FnOnce(&mut QueuePair, &mut Context<'_>)) {
        let Self { env, device, ours, queue, memory, .. } = self;
        let split = memory.len() - link::PADDING_MAX;
        let (capsules, padding) = (memory.first(split), memory.from(split));
        act(queue, &mut Context { env, device, endpoint: ours, capsules, padding });
    }

    /// Lets happen what happens; who asks for a connection gets one with so many receives.
    fn settle(&mut self, receives: u16) {
        for _ in 0..20 {
            self.act(QueuePair::post_waiting);
            self.device.turn(&mut self.env);
            while let Some(event) = self.device.poll_event() {
                let end =
                    if event.owner.0 & !0xffff_ffff == OURS { &mut self.ours } else { &mut self.theirs };
                end.handle_event(&mut self.device, &event);
            }
            while let Some(event) = self.device.poll_connection() {
                let end =
                    if event.owner.0 & !0xffff_ffff == OURS { &mut self.ours } else { &mut self.theirs };
                end.handle_connection(&mut self.env, &mut self.device, &event);
            }
            while let Some(happening) = self.theirs.poll(&mut self.env, &mut self.device) {
                self.handle_theirs(happening, receives);
            }
            while let Some(happening) = self.ours.poll(&mut self.env, &mut self.device) {
                self.handle_ours(happening);
            }
        }
    }

    fn handle_theirs(&mut self, happening: Happening, receives: u16) {
        let Self { env, device, theirs, refusal, .. } = self;
        match happening {
            Happening::Requested(requested) if refusal.is_some() => {
                theirs.reject(device, requested.request, refusal.as_deref().unwrap_or_default());
            }
            Happening::Requested(requested) => {
                let answer = QueueAccept { controller_receive_size: receives }.encode();
                self.asked = requested.private_data.bytes()[..PRIVATE_DATA_LEN].to_vec();
                let accepted = theirs.accept(env, device, requested.request, requested.parameters, &answer);
                self.peer = Some(accepted.unwrap());
            }
            Happening::Received { connection, received } => {
                let message = theirs.message(&received);
                self.last = vec![0; message.len()];
                env.mem().read(message, &mut self.last);
                self.capsules.push(*SubmissionQueueEntry::view(&self.last).unwrap());
                theirs.release(device, connection, received);
            }
            _ => {}
        }
    }

    fn handle_ours(&mut self, happening: Happening) {
        match happening {
            Happening::Established { private_data, .. } => self.queue.handle_established(&private_data),
            Happening::Done { token, kind, status, .. } => self.queue.handle_done(token, kind, status),
            Happening::Broken { .. } | Happening::Gone { .. } => self.queue.handle_broken(),
            Happening::Received { received, .. } => {
                self.act(|queue, cx| queue.handle_received(cx, received));
            }
            Happening::Refused { why, .. } => self.queue.handle_refused(why),
            Happening::Requested(_) => unreachable!(),
        }
    }

    /// A read is under way: its capsule, as the controller got it.
    fn read(&mut self) -> SubmissionQueueEntry {
        let command = SubmissionQueueEntry::new(NvmOpcode::Read.code(), 0);
        let data = Data::FromController(self.memory.first(LEN));
        self.queue.submit(self.env.now(), &command, data, 5).unwrap();
        self.settle(ENTRIES);
        self.capsules.pop().unwrap()
    }

    /// A command is sent and answered at once: its capsule.
    fn submitted(&mut self, command: &SubmissionQueueEntry, data: Data) -> Vec<u8> {
        self.queue.submit(self.env.now(), command, data, 5).unwrap();
        self.settle(ENTRIES);
        let sent = self.capsules.pop().unwrap();
        let key = match sent.data.decode() {
            Ok(Sgl::Keyed { key, length: 1.., .. }) => Some(key),
            _ => None,
        };
        self.answer(&response(sent.command_id.get()), key);
        assert_eq!(self.completed(), 1);
        core::mem::take(&mut self.last)
    }

    fn answer(&mut self, bytes: &[u8], invalidate: Option<u32>) {
        let peer = self.peer.unwrap();
        let (device, data) = (&mut self.device, Bytes::Inline(bytes));
        match invalidate {
            Some(key) => self.theirs.send_invalidate(device, peer, 1, MemoryKey(key), data).unwrap(),
            None => self.theirs.send(device, peer, 1, data).unwrap(),
        }
        self.settle(ENTRIES);
    }

    fn completed(&mut self) -> usize {
        let mut completed = Vec::new();
        self.queue.take_completed(&mut completed);
        assert!(completed.iter().all(|done| (done.token, done.status) == (5, Status::SUCCESS)));
        completed.len()
    }
}

/// An I/O queue without data in capsules.
fn parameters() -> Parameters {
    Parameters {
        id: 1,
        controller_id: 7,
        entries: ENTRIES,
        flow_control: false,
        in_capsule: InCapsule::default(),
        first_capsule: 0,
    }
}

fn response(id: u16) -> [u8; CompletionQueueEntry::LEN] {
    let mut bytes = [0; CompletionQueueEntry::LEN];
    CompletionQueueEntry::new(id, Status::SUCCESS).encode(&mut bytes).unwrap();
    bytes
}

fn key_of(capsule: &SubmissionQueueEntry) -> u32 {
    match capsule.data.decode() {
        Ok(Sgl::Keyed { key, invalidate: true, length, .. }) if length as usize == LEN => key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_is_closed_before_its_command_is_told_whoever_closes_it() {
    for by_controller in [true, false] {
        let mut bench = Bench::connected();
        let capsule = bench.read();
        let key = key_of(&capsule);
        bench.answer(&response(capsule.command_id.get()), by_controller.then_some(key));
        assert_eq!(bench.completed(), 1);
        // The key opens nothing any more, and the memory's next opening has another.
        let (peer, to) = (bench.peer.unwrap(), Remote { address: 0, key: MemoryKey(key) });
        assert_ne!(key_of(&bench.read()), key);
        let from = [bench.memory.slice(8192, 8)];
        bench.theirs.write(&mut bench.device, peer, 2, to, &from).unwrap();
        bench.settle(ENTRIES);
        assert!(matches!(bench.queue.state(), State::Ended(_)), "{:?}", bench.queue.state());
    }
}

#[test]
fn answers_that_lie_end_the_queue_and_complete_nothing() {
    let lie = |tell: fn(&mut Bench, u16, u32)| {
        let mut bench = Bench::connected();
        let capsule = bench.read();
        tell(&mut bench, capsule.command_id.get(), key_of(&capsule));
        let completed = bench.completed();
        match bench.queue.state() {
            State::Ended(why) => (why, completed),
            other => panic!("{other:?}"),
        }
    };
    let unknown = lie(|bench, id, _| bench.answer(&response(id ^ 1), None));
    assert!(matches!(unknown, (QueueEnd::UnknownCommand(_), 0)), "{unknown:?}");
    let short = lie(|bench, id, _| bench.answer(&response(id)[..15], None));
    assert_eq!(short, (QueueEnd::Length(15), 0));
    let long = lie(|bench, id, _| bench.answer(&[&response(id)[..], &[0]].concat(), None));
    assert_eq!(long, (QueueEnd::Length(17), 0));
    let twice = lie(|bench, id, key| {
        bench.answer(&response(id), Some(key));
        bench.answer(&response(id), None);
    });
    assert!(matches!(twice, (QueueEnd::UnknownCommand(_), 1)), "{twice:?}");
    // The key of another command that is under way.
    let other = lie(|bench, id, _| {
        let other = key_of(&bench.read());
        bench.answer(&response(id), Some(other));
    });
    assert_eq!(other, (QueueEnd::Invalidation, 0));
}

#[test]
fn no_more_is_outstanding_than_the_controller_has_receives_for() {
    let mut bench = Bench::new(3);
    let command = SubmissionQueueEntry::new(NvmOpcode::Flush.code(), 0);
    let taken = (0..ENTRIES).filter(|_| bench.queue.submit(bench.env.now(), &command, Data::None, 5).is_ok());
    assert_eq!(taken.count(), 3);
    assert_eq!(Bench::new(0).queue.state(), State::Ended(QueueEnd::BadAccept));
}

/// RDMA Transport 1.0, figure 9: every status there is, and what is none.
#[test]
fn a_queue_that_is_refused_ends_with_the_controllers_reason() {
    let statuses: Vec<_> = (0..=u16::MAX).filter_map(RejectStatus::from_code).collect();
    assert_eq!(statuses.len(), 9);
    for status in statuses {
        assert_eq!(Bench::refused(&status.encode()), State::Ended(QueueEnd::Rejected(status)));
    }
    let [low, high] = RejectStatus::QueueId.code().to_le_bytes();
    for (said, what) in [
        ([0, 0, 0, 0], "no reason"),
        ([0, 0, 10, 0], "a reason that there is not"),
        ([1, 0, low, high], "a reason in another format"),
    ] {
        assert_eq!(Bench::refused(&said), State::Ended(QueueEnd::RejectedOtherwise), "{what}");
    }
}

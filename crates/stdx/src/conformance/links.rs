//! Links between environments of one test, and the checks that every environment's links pass.

use super::{listen_for, wait_for};
use crate::env::{
    Env, Event, IoError, LINK_MESSAGE_MAX, LinkId, LinkListenerId, LinkMessage, LinkName, LinkPeer, Owner,
    What,
};
use crate::mem::{Kind, Memory, RegionId, Share};
use core::time::Duration;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// The names and links of one machine, for environments that are its processes: [`StillEnv`](super::still::StillEnv)s, or those of
/// a simulation.
#[derive(Clone, Debug, Default)]
pub struct Machine(Rc<RefCell<Table>>);

#[derive(Debug, Default)]
struct Table {
    processes: u64,
    count: u64,
    listeners: BTreeMap<LinkListenerId, Listener>,
    ends: BTreeMap<LinkId, End>,
    events: Vec<(u64, Event)>,
}

#[derive(Debug)]
struct Listener {
    process: u64,
    user: u32,
    owner: Owner,
    name: LinkName,
    waiting: VecDeque<LinkId>,
}

/// One end of a link.
#[derive(Debug)]
struct End {
    process: u64,
    owner: Owner,
    /// The other end, which may be gone, and as whom its process runs.
    other: LinkId,
    other_user: u32,
    messages: VecDeque<(Vec<u8>, Option<Share>)>,
}

/// A process of a machine. Its methods are those of [`Env`] that are about links.
#[derive(Debug)]
pub struct Process {
    machine: Machine,
    number: u64,
    user: u32,
}

impl Machine {
    /// A process that runs as `user`.
    pub fn process(&self, user: u32) -> Process {
        let mut table = self.0.borrow_mut();
        table.processes += 1;
        Process { machine: self.clone(), number: table.processes, user }
    }
}

impl Table {
    fn id(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Tells an end's owner that there is something.
    fn tell(&mut self, link: LinkId) {
        if let Some(end) = self.ends.get(&link) {
            let event = Event { owner: end.owner, what: What::LinkReadable(link) };
            self.events.push((end.process, event));
        }
    }

    fn close(&mut self, link: LinkId) {
        if let Some(end) = self.ends.remove(&link) {
            self.tell(end.other);
        }
    }
}

impl Process {
    /// See [`Env::listen_links`].
    pub fn listen(&self, owner: Owner, name: &LinkName) -> Result<LinkListenerId, IoError> {
        let mut table = self.machine.0.borrow_mut();
        if table.listeners.values().any(|listener| listener.name == *name) {
            return Err(IoError::AddressInUse);
        }
        let id = LinkListenerId(table.id());
        let (process, user, name) = (self.number, self.user, name.clone());
        let listener = Listener { process, user, owner, name, waiting: VecDeque::new() };
        table.listeners.insert(id, listener);
        Ok(id)
    }

    /// See [`Env::close_link_listener`].
    pub fn close_listener(&self, listener: LinkListenerId) {
        let mut table = self.machine.0.borrow_mut();
        let Some(listener) = table.listeners.remove(&listener) else { return };
        listener.waiting.into_iter().for_each(|link| table.close(link));
    }

    /// See [`Env::accept_link`].
    pub fn accept(&self, listener: LinkListenerId, owner: Owner) -> Result<LinkId, IoError> {
        let mut table = self.machine.0.borrow_mut();
        let listener = table.listeners.get_mut(&listener).ok_or(IoError::WouldBlock)?;
        let link = listener.waiting.pop_front().ok_or(IoError::WouldBlock)?;
        if let Some(end) = table.ends.get_mut(&link) {
            end.owner = owner;
        }
        table.tell(link);
        Ok(link)
    }

    /// See [`Env::connect_link`].
    pub fn connect(&self, owner: Owner, name: &LinkName) -> Result<LinkId, IoError> {
        let mut table = self.machine.0.borrow_mut();
        let (ours, theirs) = (LinkId(table.id()), LinkId(table.id()));
        let found = table.listeners.iter_mut().find(|(_, listener)| listener.name == *name);
        let (id, listener) = found.ok_or(IoError::Refused)?;
        listener.waiting.push_back(theirs);
        let (id, process, user, waiting) = (*id, listener.process, listener.user, listener.owner);
        let end = |process, owner, other, other_user| End {
            process,
            owner,
            other,
            other_user,
            messages: VecDeque::new(),
        };
        table.ends.insert(ours, end(self.number, owner, theirs, user));
        table.ends.insert(theirs, end(process, waiting, ours, self.user));
        table.events.push((process, Event { owner: waiting, what: What::LinkAcceptable(id) }));
        Ok(ours)
    }

    /// See [`Env::link_peer`].
    pub fn peer(&self, link: LinkId) -> Result<LinkPeer, IoError> {
        let table = self.machine.0.borrow();
        let end = table.ends.get(&link).ok_or(IoError::Reset)?;
        Ok(LinkPeer { user: end.other_user, our_user: self.user })
    }

    /// See [`Env::send_link`].
    pub fn send(
        &self,
        mem: &Memory,
        link: LinkId,
        message: &[u8],
        memory: Option<RegionId>,
    ) -> Result<(), IoError> {
        let share = match memory {
            Some(region) => Some(mem.share(region).ok_or(IoError::Unsupported)?.clone()),
            None => None,
        };
        let mut table = self.machine.0.borrow_mut();
        let other = table.ends.get(&link).ok_or(IoError::Reset)?.other;
        let end = table.ends.get_mut(&other).ok_or(IoError::Reset)?;
        if end.messages.len() >= MESSAGES_MAX {
            return Err(IoError::WouldBlock);
        }
        end.messages.push_back((message.to_vec(), share));
        table.tell(other);
        Ok(())
    }

    /// See [`Env::recv_link`].
    pub fn recv(&self, mem: &mut Memory, link: LinkId, into: &mut [u8]) -> Result<LinkMessage, IoError> {
        let mut table = self.machine.0.borrow_mut();
        let end = table.ends.get_mut(&link).ok_or(IoError::Reset)?;
        let Some((message, share)) = end.messages.pop_front() else {
            let other = end.other;
            return Err(if table.ends.contains_key(&other) { IoError::WouldBlock } else { IoError::Reset });
        };
        let len = message.len().min(into.len());
        into[..len].copy_from_slice(&message[..len]);
        Ok(LinkMessage { len, memory: share.and_then(|share| mem.attach(&share).ok()) })
    }

    /// See [`Env::close_link`].
    pub fn close(&self, link: LinkId) {
        self.machine.0.borrow_mut().close(link);
    }

    /// Moves what happened to this process to `events`.
    pub fn poll(&self, events: &mut Vec<Event>) {
        let mut table = self.machine.0.borrow_mut();
        table.events.retain(|(process, event)| {
            if *process == self.number {
                events.push(*event);
            }
            *process != self.number
        });
    }

    /// True if something happened to this process.
    pub fn has_events(&self) -> bool {
        self.machine.0.borrow().events.iter().any(|(process, _)| *process == self.number)
    }

    /// The process is killed: all it had is closed.
    pub fn die(&self) {
        let mut table = self.machine.0.borrow_mut();
        let ours: Vec<_> = table.ends.iter().filter(|(_, end)| end.process == self.number).collect();
        let ours: Vec<LinkId> = ours.into_iter().map(|(link, _)| *link).collect();
        let listeners: Vec<_> =
            table.listeners.iter().filter(|(_, listener)| listener.process == self.number).collect();
        let listeners: Vec<LinkListenerId> = listeners.into_iter().map(|(id, _)| *id).collect();
        ours.into_iter().for_each(|link| table.close(link));
        for id in listeners {
            table.listeners.remove(&id);
        }
    }
}

/// Two ends of a link: messages arrive whole and in order, with their memory, until the other end is closed.
pub fn messages_and_memory_arrive(env: &mut dyn Env) {
    let name = LinkName::new("weft-conformance-messages");
    let listener = env.listen_links(LISTENER, &name).unwrap();
    assert_eq!(env.listen_links(LISTENER, &name), Err(IoError::AddressInUse));
    let here = env.connect_link(HERE, &name).unwrap();
    wait_for(env, OWNERS, |event| (event.what == What::LinkAcceptable(listener)).then_some(()));
    let there = env.accept_link(listener, THERE).unwrap();
    assert_eq!(env.accept_link(listener, THERE), Err(IoError::WouldBlock));
    for link in [here, there] {
        let peer = env.link_peer(link).unwrap();
        assert_eq!(peer.user, peer.our_user);
    }
    let mut bytes = [0; LINK_MESSAGE_MAX];
    assert_eq!(env.recv_link(there, &mut bytes), Err(IoError::WouldBlock));
    let region = env.mem().map(Kind::Published, 8192).unwrap();
    let span = env.mem().whole(region);
    env.mem().write(span.from(5000), b"shared");
    env.send_link(here, b"one", None).unwrap();
    env.send_link(here, &[7; LINK_MESSAGE_MAX], Some(region)).unwrap();
    wait_for(env, OWNERS, |event| (event.what == What::LinkReadable(there)).then_some(()));
    let first = env.recv_link(there, &mut bytes).unwrap();
    assert_eq!((first.memory, &bytes[..first.len]), (None, &b"one"[..]));
    let second = env.recv_link(there, &mut bytes).unwrap();
    assert_eq!((second.len, bytes), (LINK_MESSAGE_MAX, [7; LINK_MESSAGE_MAX]));
    let seen = second.memory.expect("memory came");
    let mut out = [0; 6];
    let foreign = env.mem().whole(seen);
    env.mem().read(foreign.from(5000), &mut out);
    assert_eq!(&out, b"shared");
    env.send_link(there, b"answer", None).unwrap();
    env.close_link(there);
    wait_for(env, OWNERS, |event| (event.what == What::LinkReadable(here)).then_some(()));
    assert_eq!(env.recv_link(here, &mut bytes).map(|message| message.len), Ok(6), "what was sent before");
    assert_eq!(env.recv_link(here, &mut bytes), Err(IoError::Reset));
    env.close_link(here);
    env.close_link_listener(listener);
    for region in [region, seen] {
        env.mem().unmap(region);
    }
    listen_for(env, Duration::from_millis(1));
}

/// Nobody there is told at once; memory that is not published is not given.
pub fn what_cannot_be_is_refused(env: &mut dyn Env) {
    let name = LinkName::new("weft-conformance-refused");
    assert_eq!(env.connect_link(HERE, &name), Err(IoError::Refused));
    let listener = env.listen_links(LISTENER, &name).unwrap();
    let here = env.connect_link(HERE, &name).unwrap();
    let region = env.mem().map(Kind::Shared, 4096).unwrap();
    assert_eq!(env.send_link(here, b"no", Some(region)), Err(IoError::Unsupported));
    let mut sent = 0;
    while env.send_link(here, &[1; 100], None).is_ok() {
        sent += 1;
        assert!(sent < 1 << 20, "messages wait within a limit");
    }
    assert!(sent > 0);
    env.close_link_listener(listener);
    assert_eq!(env.connect_link(HERE, &name), Err(IoError::Refused));
    env.close_link(here);
    assert_eq!(env.send_link(here, b"gone", None), Err(IoError::Reset));
    env.mem().unmap(region);
    listen_for(env, Duration::from_millis(1));
}

const LISTENER: Owner = Owner(1);
const HERE: Owner = Owner(2);
const THERE: Owner = Owner(3);
const OWNERS: &[Owner] = &[LISTENER, HERE, THERE];

/// Messages that wait at one end, at most.
const MESSAGES_MAX: usize = 256;

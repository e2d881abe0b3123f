//! A machine that uses disks by RDMA: a device of its own, and an initiator of SRP or iSER on it.
//!
//! Where the target is asked for as a service, who attaches asks besides which services there are.
//!
//! What was let go is driven on until its last words are said; the device is closed when nobody uses it any more, and opened
//! anew for the next.

mod asking;
mod initiator;

pub(super) use initiator::Options;

use super::disks::Disks;
use super::machine::Using;
use crate::env::NodeEnv;
use asking::Asking;
use block::Channel;
use core::net::IpAddr;
use initiator::Remote;
use rdma::{Config, SoftDevice};
use std::collections::BTreeMap;
use stdx::env::{Env, Event, Owner};
use stdx::time::{Time, earliest};
use verbs::{Connections, Provider};

/// See the module.
pub(super) struct RemoteClient {
    address: IpAddr,
    options: Options,
    /// How it comes at first, if that is not the way.
    stranger: Option<Options>,
    device: Option<SoftDevice>,
    /// The one that is attached, and those that were let go; each with the upper half of its owners' numbers.
    remote: Option<(u64, Remote)>,
    leaving: Vec<(u64, Remote)>,
    /// Asks which services there are.
    asking: Option<Asking>,
    attached: u64,
    disks: Disks,
    events: Vec<Event>,
}

impl RemoteClient {
    /// A machine at an address that has attached nothing yet.
    pub(super) fn new(address: IpAddr, options: Options) -> Self {
        Self {
            address,
            options,
            stranger: None,
            device: None,
            remote: None,
            leaving: Vec::new(),
            asking: None,
            attached: 0,
            disks: Disks::default(),
            events: Vec::new(),
        }
    }

    /// The same, that comes as a stranger first, who is not let in.
    pub(super) fn first_as(self, stranger: Options) -> Self {
        Self { stranger: Some(stranger), ..self }
    }

    /// Has the initiators do what there is to do.
    fn drive(&mut self, env: &mut NodeEnv) {
        let Self { device: Some(device), remote, leaving, asking, .. } = self else { return };
        if asking.as_mut().is_some_and(|asking| asking.drive(env, device)) {
            *asking = None;
        }
        for (_, one) in remote.iter().chain(leaving.iter()) {
            one.drive(env, device);
        }
        leaving.retain_mut(|(_, one)| {
            let is_quiet = one.is_quiet();
            if is_quiet {
                one.free(env, device);
            }
            !is_quiet
        });
    }

    /// Has the device do what there is to do, and tells what it has to tell.
    fn turn_device(&mut self, env: &mut NodeEnv) {
        let Self { device: Some(device), remote, leaving, asking, .. } = self else { return };
        if device.deadline().is_some_and(|deadline| deadline <= env.now()) {
            device.turn(env);
        }
        let find = |owner: Owner| {
            let mut all = remote.iter().chain(leaving.iter());
            all.find(|(base, _)| *base == owner.0 >> PLACE_SHIFT).map(|(_, one)| one)
        };
        while let Some(event) = device.poll_event() {
            match (event.owner, find(event.owner), asking.as_mut()) {
                (asking::OWNER, _, Some(asking)) => asking.handle_device_event(device, &event),
                (_, Some(one), _) => one.handle_device_event(device, &event),
                (_, None, _) => {}
            }
        }
        while let Some(event) = device.poll_connection() {
            if let Some(one) = find(event.owner) {
                one.handle_connection(env, device, &event);
            }
        }
        device.check();
        let is_used = remote.is_some() || !leaving.is_empty() || asking.is_some();
        let is_idle = !is_used && device.deadline().is_none();
        if let Some(idle) = self.device.take_if(|_| is_idle) {
            idle.close(env);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Remote> {
        self.remote.iter().chain(&self.leaving).map(|(_, one)| one)
    }
}

impl Using for RemoteClient {
    fn turn(&mut self, env: &mut NodeEnv) {
        self.drive(env);
        let mut events = core::mem::take(&mut self.events);
        env.poll(&mut events, self.deadline());
        if let Some(device) = &mut self.device {
            events.iter().for_each(|event| device.handle_event(env, event));
        }
        events.clear();
        self.events = events;
        for one in self.all() {
            if one.deadline().is_some_and(|deadline| deadline <= env.now()) {
                one.handle_timeout(env);
            }
        }
        if let Some(asking) = &mut self.asking {
            asking.handle_timeout(env);
        }
        self.turn_device(env);
        self.drive(env);
        if let Some((_, one)) = &self.remote {
            one.tell(&mut self.disks);
            one.check();
        }
        self.drive(env);
        self.turn_device(env);
    }

    fn deadline(&self) -> Option<Time> {
        // What was given up is to be attached anew, and no event tells of that.
        let has_news = self.disks.failed || self.remote.as_ref().is_some_and(|(_, one)| one.has_events());
        let own = has_news.then_some(Time::ZERO);
        let device = self.device.as_ref().and_then(Provider::deadline);
        let asking = self.asking.as_ref().and_then(Asking::deadline);
        self.all().map(Remote::deadline).fold(earliest(earliest(own, device), asking), earliest)
    }

    fn attach(&mut self, env: &mut NodeEnv) {
        let config = Config::new(self.address);
        self.device.get_or_insert_with(|| SoftDevice::open(env, DEVICE, config).expect("a socket"));
        self.attached += 1;
        let owner = Owner(self.attached << PLACE_SHIFT);
        let stranger = self.stranger.take();
        let options = stranger.as_ref().unwrap_or(&self.options);
        self.remote = Some((self.attached, Remote::connect(env, owner, options)));
        if self.asking.is_none() {
            self.asking = Asking::begin(env, &self.options);
        }
    }

    fn detach(&mut self, env: &mut NodeEnv) {
        let (place, remote) = self.remote.take().expect("it is attached");
        remote.close(env);
        self.leaving.push((place, remote));
        self.disks = Disks::default();
    }

    fn is_attached(&self) -> bool {
        self.remote.is_some()
    }

    fn has_failed(&self) -> bool {
        self.disks.failed
    }

    fn is_live(&self) -> bool {
        self.remote.as_ref().is_some_and(|(_, one)| one.is_live())
    }

    fn open(&self, number: u32) -> Option<Box<dyn Channel>> {
        self.disks.open(number)
    }

    fn seen(&self) -> BTreeMap<u32, u64> {
        self.disks.seen()
    }
}

/// Whom events of the device's sockets go to.
const DEVICE: Owner = Owner(1);
/// Where the number of an initiator begins in those of its owners.
const PLACE_SHIFT: u32 = 32;

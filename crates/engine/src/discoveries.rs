//! Discovery services that are watched: the controllers they lead to are attached, and let go again when they no longer
//! lead there.
//!
//! A subsystem that is reached in several ways is attached by one of them; another is taken when that is no longer told.
//! What it is not: it follows no referral.

use crate::fabric::{Devices, Leaver, Place, Told, User};
use crate::hosts::{AttachError, Hosts, device_of};
use crate::named::Named;
use crate::owners::Part;
use crate::volumes::Volumes;
use core::time::Duration;
use nvme::host::discovery::{address, is_subsystem};
use nvme::host::{Discovery, DiscoveryError, DiscoveryLog, HostError, HostOptions, Transport};
use std::net::SocketAddr;
use stdx::env::{Env, Event, Owner};
use stdx::time::{Time, earliest};
use wire::nvme::Nqn;
use wire::nvme::log::DiscoveryEntry;

/// The discovery services that a shard watches.
pub struct Discoveries {
    watched: Named<Watched>,
}

/// A discovery service that is watched.
pub struct Watched {
    /// Its name here; the controllers it leads to are called by that name and a number.
    pub name: String,
    /// What it was started with; the controllers it leads to are attached with the same.
    pub options: HostOptions,
    state: State,
    found: Vec<Found>,
    /// The number of the next controller.
    number: u64,
    /// The log was told at least once.
    is_told: bool,
    waiting: Vec<Waiting>,
    /// Where it is among the services.
    place: u32,
    /// The RDMA device it is on.
    device: Option<Place>,
}

enum State {
    Connected(Discovery),
    /// It could not be connected, and is tried again then.
    Retry(Time),
}

/// A subsystem that a discovery service led to, and the controller attached for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The subsystem.
    pub subsystem: Nqn,
    /// The controller's address.
    pub address: SocketAddr,
    /// The controller's name here.
    pub controller: String,
}

/// Who waits until all that a discovery service led to at first is attached, or could not be.
type Waiting = Box<dyn FnOnce(Result<(), AttachError>) + Send>;

impl Discoveries {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { watched: Named::new(limit) }
    }

    /// The service watched under that name.
    pub fn get(&self, name: &str) -> Option<&Watched> {
        self.watched.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Watched> {
        self.watched.by_name()
    }

    pub(crate) fn start(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        options: HostOptions,
        then: Waiting,
    ) {
        match self.begin(env, devices, name, options) {
            Ok(watched) => watched.waiting.push(then),
            Err(why) => then(Err(why)),
        }
    }

    fn begin(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        options: HostOptions,
    ) -> Result<&mut Watched, AttachError> {
        let place = self.watched.vacancy(name, |place| devices.is_leaving(User::Discovery(place)))?;
        let device = device_of(env, devices, &options)?;
        let discovery = watch(env, place, &options)
            .inspect_err(|_| device.into_iter().for_each(|device| devices.release(device)))?;
        let watched = Watched {
            name: name.into(),
            options,
            state: State::Connected(discovery),
            found: Vec::new(),
            number: 0,
            is_told: false,
            waiting: Vec::new(),
            place,
            device,
        };
        Ok(self.watched.insert(place, name, watched))
    }

    /// Ends the watch, and lets the controllers go that it led to.
    pub(crate) fn stop(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        hosts: &mut Hosts,
        volumes: &mut Volumes,
        name: &str,
    ) -> Result<(), AttachError> {
        let (_, mut watched) = self.watched.remove(name).ok_or(AttachError::Unknown)?;
        watched.disconnect(env, devices, Time::NEVER);
        watched.device.into_iter().for_each(|device| devices.release(device));
        for found in &watched.found {
            // It may have been detached by hand.
            let _ = hosts.detach(env, devices, volumes, &found.controller);
        }
        watched.waiting.drain(..).for_each(|then| then(Err(AttachError::Detached)));
        Ok(())
    }

    pub(crate) fn handle_event(&mut self, env: &mut dyn Env, place: u32, event: &Event) {
        if let Some(Watched { state: State::Connected(discovery), .. }) = self.watched.at_mut(place) {
            discovery.handle_event(env, event);
        }
    }

    /// A device tells something to the service at a place.
    pub(crate) fn handle_told(&mut self, env: &mut dyn Env, devices: &mut Devices, place: u32, told: &Told) {
        let Some(watched) = self.watched.at(place) else { return };
        if let State::Connected(discovery) = &watched.state
            && let Some(device) = watched.device.and_then(|device| devices.get(device))
        {
            told.to_host(env, device, discovery.host());
        }
    }

    /// Lets those on devices do what there is to do.
    pub(crate) fn drive(&self, env: &mut dyn Env, devices: &mut Devices) {
        for watched in self.watched.iter() {
            if let State::Connected(discovery) = &watched.state
                && let Some(device) = watched.device.and_then(|device| devices.get(device))
            {
                discovery.host().drive(env, device);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let next = |watched: &Watched| match &watched.state {
            State::Connected(discovery) if discovery.has_events() => Some(Time::ZERO),
            State::Connected(discovery) => discovery.deadline(),
            State::Retry(at) => Some(*at),
        };
        self.watched.iter().map(next).fold(None, earliest)
    }

    pub(crate) fn handle_timeout(&mut self, env: &mut dyn Env, devices: &Devices) {
        let now = env.now();
        for watched in self.watched.iter_mut() {
            match &mut watched.state {
                State::Connected(discovery) if discovery.deadline().is_some_and(|at| at <= now) => {
                    discovery.handle_timeout(env);
                }
                State::Retry(at) if *at <= now && devices.is_leaving(User::Discovery(watched.place)) => {
                    *at = now + RETRY_MIN;
                }
                State::Retry(at) if *at <= now => {
                    watched.state = match watch(env, watched.place, &watched.options) {
                        Ok(discovery) => State::Connected(discovery),
                        Err(_) => State::Retry(now + RETRY_MIN),
                    };
                }
                State::Connected(_) | State::Retry(_) => {}
            }
        }
    }

    /// Does what the services tell.
    pub(crate) fn poll(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        hosts: &mut Hosts,
        volumes: &mut Volumes,
    ) {
        for watched in self.watched.iter_mut() {
            watched.poll(env, devices, hosts, volumes);
        }
    }

    /// Sends what was asked for in this turn.
    pub(crate) fn flush(&self, env: &mut dyn Env, devices: &mut Devices) {
        self.drive(env, devices);
        for watched in self.watched.iter() {
            if let State::Connected(discovery) = &watched.state {
                discovery.flush(env);
            }
        }
    }
}

impl Watched {
    /// The subsystems it leads to.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    fn poll(&mut self, env: &mut dyn Env, devices: &mut Devices, hosts: &mut Hosts, volumes: &mut Volumes) {
        let told = match &mut self.state {
            State::Connected(discovery) => discovery.poll(env),
            State::Retry(_) => None,
        };
        match told {
            Some(Ok(log)) => self.handle_log(env, devices, hosts, volumes, &log),
            Some(Err(why)) => self.handle_error(env, devices, why),
            None => {}
        }
        self.drop_failed(env, devices, hosts, volumes);
        let attaching = |found: &Found| hosts.get(&found.controller).is_some_and(|host| host.is_attaching());
        if self.is_told && !self.waiting.is_empty() && !self.found.iter().any(attaching) {
            self.waiting.drain(..).for_each(|then| then(Ok(())));
        }
    }

    fn handle_error(&mut self, env: &mut dyn Env, devices: &mut Devices, why: DiscoveryError) {
        tracing::warn!(discovery = self.name, %why, "a discovery service tells nothing");
        let again = env.now() + self.options.reconnect_delay.max(RETRY_MIN);
        self.disconnect(env, devices, again);
    }

    /// Lets the service go until `again`.
    fn disconnect(&mut self, env: &mut dyn Env, devices: &mut Devices, again: Time) {
        let State::Connected(mut discovery) = core::mem::replace(&mut self.state, State::Retry(again)) else {
            return;
        };
        discovery.close(env);
        if let Some(device) = self.device {
            devices.leave(User::Discovery(self.place), device, Leaver::Discovery(discovery));
        }
    }

    /// Attaches what is new in the log, and lets go of what is not there any more.
    fn handle_log(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        hosts: &mut Hosts,
        volumes: &mut Volumes,
        log: &DiscoveryLog,
    ) {
        self.is_told = true;
        let subsystems = log.entries.iter().filter(|entry| is_subsystem(entry));
        let told: Vec<(Nqn, SocketAddr)> =
            subsystems.filter_map(|entry| Some((entry.subsystem().ok()?, self.reached(entry)?))).collect();
        self.found.retain(|found| {
            let stays = told.contains(&(found.subsystem, found.address));
            if !stays {
                // It may have been detached by hand.
                let _ = hosts.detach(env, devices, volumes, &found.controller);
            }
            stays
        });
        for (subsystem, address) in told {
            if !self.found.iter().any(|found| found.subsystem == subsystem) {
                self.attach(env, devices, hosts, subsystem, address);
            }
        }
    }

    /// Where an entry leads, if that is over what the service itself is reached over.
    fn reached(&self, entry: &DiscoveryEntry) -> Option<SocketAddr> {
        let (transport, address) = address(entry)?;
        (transport == self.options.transport).then_some(address)
    }

    fn attach(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        hosts: &mut Hosts,
        subsystem: Nqn,
        address: SocketAddr,
    ) {
        let controller = format!("{}{}", self.name, self.number);
        self.number += 1;
        let options = HostOptions { subsystem, address, ..self.options.clone() };
        match hosts.attach_found(env, devices, &controller, options, &self.name) {
            Ok(()) => self.found.push(Found { subsystem, address, controller }),
            Err(why) => {
                tracing::warn!(discovery = self.name, %subsystem, %why, "a controller is not attached")
            }
        }
    }

    /// Lets go of controllers that are lost for good.
    fn drop_failed(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        hosts: &mut Hosts,
        volumes: &mut Volumes,
    ) {
        self.found.retain(|found| match hosts.get(&found.controller) {
            Some(host) if host.failure().is_none() => true,
            Some(_) => {
                // It was there a line ago.
                let _ = hosts.detach(env, devices, volumes, &found.controller);
                false
            }
            None => false,
        });
    }
}

/// Begins to watch the service at a place.
fn watch(env: &mut dyn Env, place: u32, options: &HostOptions) -> Result<Discovery, HostError> {
    let owner = match options.transport {
        Transport::Tcp => Part::Discovery(place).owner(),
        Transport::Rdma => Owner(User::Discovery(place).owner_base()),
    };
    Discovery::watch(env, owner, options)
}

/// The shortest wait before a service that could not be asked is asked again.
const RETRY_MIN: Duration = Duration::from_secs(1);

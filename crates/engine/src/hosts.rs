//! Remote controllers: attached by name, their namespaces volumes of this shard for as long as they are there.

use crate::fabric::{DeviceError, Devices, Leaver, Place, Told, User};
use crate::named::{Named, NoPlace};
use crate::owners::Part;
use crate::url::NvmeUrl;
use crate::volumes::{Change, Spec, Volumes};
use crate::{OpenError, VolumeError};
use nvme::host::{Failure, Host, HostError, HostEvent, HostOptions, Transport, host_id};
use std::collections::BTreeMap;
use stdx::env::{Env, Event, Owner, random_uuid};
use stdx::time::{Time, earliest};
use thiserror::Error;
use wire::nvme::Nqn;
use wire::nvme::tcp::Digests;

/// The remote controllers of a shard.
pub struct Hosts {
    attached: Named<Attached>,
}

/// A remote controller.
pub struct Attached {
    /// Its name here; its namespaces are the volumes NAMEn1, NAMEn2, ...
    pub name: String,
    /// What it was attached with.
    pub options: HostOptions,
    /// The association.
    pub host: Host,
    state: State,
    volumes: BTreeMap<u32, String>,
    waiting: Vec<Waiting>,
    /// The discovery service that led to it, by name.
    discovery: Option<String>,
    /// The RDMA device it is on.
    device: Option<Place>,
}

/// Who waits to hear whether a controller could be attached.
type Waiting = Box<dyn FnOnce(Result<Vec<String>, AttachError>) + Send>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Attaching,
    Attached,
    Failed(Failure),
}

/// Why a controller is not attached.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum AttachError {
    /// One is attached under that name.
    #[error("a controller is attached under that name already")]
    Exists,
    /// None is attached under that name.
    #[error("no controller is attached under that name")]
    Unknown,
    /// As many as there may be.
    #[error("there are as many controllers as there may be")]
    Full,
    /// A name that is no NQN.
    #[error("{0:?} is no NQN: nqn.YYYY-MM.reverse.domain:anything")]
    Nqn(String),
    /// The options make no sense, or memory is short.
    #[error(transparent)]
    Host(#[from] HostError),
    /// There is no RDMA device to connect from.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Which device it is was not said.
    #[error("RDMA needs the address of this machine to connect from")]
    NoLocalAddress,
    /// It could not be connected.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// It was detached before it was there.
    #[error("it was detached meanwhile")]
    Detached,
}

impl Hosts {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { attached: Named::new(limit) }
    }

    /// Begins to attach a controller; `then` hears the names of its volumes, or why there are none.
    pub(crate) fn attach(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        options: HostOptions,
        then: Waiting,
    ) {
        match self.begin(env, devices, name, options) {
            Ok(attached) => attached.waiting.push(then),
            Err(why) => then(Err(why)),
        }
    }

    /// Begins to attach the controller that a URL names.
    pub(crate) fn attach_url(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        url: &NvmeUrl,
    ) -> Result<(), OpenError> {
        let options = options(env, url)?;
        self.begin(env, devices, name, options)?;
        Ok(())
    }

    /// Begins to attach a controller that the discovery service of that name led to.
    pub(crate) fn attach_found(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        options: HostOptions,
        discovery: &str,
    ) -> Result<(), AttachError> {
        self.begin(env, devices, name, options)?.discovery = Some(discovery.into());
        Ok(())
    }

    /// Lets a controller go, and with it its volumes.
    pub(crate) fn detach(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        volumes: &mut Volumes,
        name: &str,
    ) -> Result<(), AttachError> {
        let (place, mut attached) = self.attached.remove(name).ok_or(AttachError::Unknown)?;
        for volume in attached.volumes.values() {
            forget(volumes.delete(env, volume));
        }
        attached.host.close(env);
        attached.waiting.drain(..).for_each(|then| then(Err(AttachError::Detached)));
        if let Some(device) = attached.device {
            devices.leave(User::Host(place), device, Leaver::Host(attached.host));
            devices.release(device);
        }
        Ok(())
    }

    /// The controller of that name.
    pub fn get(&self, name: &str) -> Option<&Attached> {
        self.attached.get(name)
    }

    /// All controllers, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Attached> {
        self.attached.by_name()
    }

    /// The volume of a namespace (the first, if none is named) once its controller is attached.
    pub(crate) fn namespace(&self, name: &str, nsid: Option<u32>) -> Option<Result<String, OpenError>> {
        let Some(attached) = self.get(name) else { return Some(Err(AttachError::Unknown.into())) };
        match attached.state {
            State::Attaching => None,
            State::Failed(why) => Some(Err(AttachError::Failed(why).into())),
            State::Attached => {
                let volume = match nsid {
                    Some(nsid) => attached.volumes.get(&nsid),
                    None => attached.volumes.values().next(),
                };
                Some(volume.cloned().ok_or(OpenError::NoNamespace))
            }
        }
    }

    pub(crate) fn handle_event(&mut self, env: &mut dyn Env, place: u32, event: &Event) {
        if let Some(attached) = self.attached.at_mut(place) {
            attached.host.handle_event(env, event);
        }
    }

    /// A device tells something to the controller at a place.
    pub(crate) fn handle_told(&mut self, env: &mut dyn Env, devices: &mut Devices, place: u32, told: &Told) {
        let Some(attached) = self.attached.at(place) else { return };
        if let Some(device) = attached.device.and_then(|device| devices.get(device)) {
            told.to_host(env, device, &attached.host);
        }
    }

    /// Lets those on devices do what there is to do.
    pub(crate) fn drive(&self, env: &mut dyn Env, devices: &mut Devices) {
        for attached in self.attached.iter() {
            if let Some(device) = attached.device.and_then(|device| devices.get(device)) {
                attached.host.drive(env, device);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        // What happened in an attempt to connect, or when a turn's commands were sent, is told in the next turn.
        let next = |attached: &Attached| {
            if attached.host.has_events() { Some(Time::ZERO) } else { attached.host.deadline() }
        };
        self.attached.iter().map(next).fold(None, earliest)
    }

    pub(crate) fn handle_timeout(&mut self, env: &mut dyn Env) {
        let now = env.now();
        let due = |attached: &&mut Attached| attached.host.deadline().is_some_and(|deadline| deadline <= now);
        self.attached.iter_mut().filter(due).for_each(|attached| attached.host.handle_timeout(env));
    }

    /// Makes volumes of namespaces that came, takes those away that went, and tells who waits.
    pub(crate) fn poll(&mut self, env: &mut dyn Env, volumes: &mut Volumes) {
        for attached in self.attached.iter_mut() {
            while let Some(event) = attached.host.poll_event() {
                attached.handle(env, volumes, event);
            }
        }
    }

    /// Sends what was asked for in this turn.
    pub(crate) fn flush(&mut self, env: &mut dyn Env, devices: &mut Devices) {
        self.attached.iter_mut().for_each(|attached| attached.host.flush(env));
        self.drive(env, devices);
    }

    fn begin(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        options: HostOptions,
    ) -> Result<&mut Attached, AttachError> {
        let place = self.attached.vacancy(name, |place| devices.is_leaving(User::Host(place)))?;
        let device = device_of(env, devices, &options)?;
        let owner = match options.transport {
            Transport::Tcp => Part::Host(place).owner(),
            Transport::Rdma => Owner(User::Host(place).owner_base()),
        };
        let host = Host::connect(env, owner, options.clone())
            .inspect_err(|_| device.into_iter().for_each(|device| devices.release(device)))?;
        let attached = Attached {
            name: name.into(),
            options,
            host,
            state: State::Attaching,
            volumes: BTreeMap::new(),
            waiting: Vec::new(),
            discovery: None,
            device,
        };
        Ok(self.attached.insert(place, name, attached))
    }
}

impl From<NoPlace> for AttachError {
    fn from(why: NoPlace) -> Self {
        match why {
            NoPlace::Exists => Self::Exists,
            NoPlace::Full => Self::Full,
        }
    }
}

impl Attached {
    /// The volumes of its namespaces, by namespace identifier.
    pub const fn volumes(&self) -> &BTreeMap<u32, String> {
        &self.volumes
    }

    /// The discovery service that led to it, by name; `None` if it was attached by hand.
    pub fn discovery(&self) -> Option<&str> {
        self.discovery.as_deref()
    }

    /// True until it is known whether it can be connected.
    pub const fn is_attaching(&self) -> bool {
        matches!(self.state, State::Attaching)
    }

    /// Why it is over for good, if it is.
    pub const fn failure(&self) -> Option<Failure> {
        match self.state {
            State::Failed(why) => Some(why),
            State::Attaching | State::Attached => None,
        }
    }

    fn handle(&mut self, env: &mut dyn Env, volumes: &mut Volumes, event: HostEvent) {
        match event {
            HostEvent::Connected => {
                self.state = State::Attached;
                let names: Vec<_> = self.volumes.values().cloned().collect();
                self.waiting.drain(..).for_each(|then| then(Ok(names.clone())));
            }
            HostEvent::Failed(why) => {
                tracing::warn!(controller = self.name, %why, "a controller is lost for good");
                self.state = State::Failed(why);
                self.waiting.drain(..).for_each(|then| then(Err(AttachError::Failed(why))));
            }
            HostEvent::NamespaceAdded(nsid) => self.add(env, volumes, nsid),
            HostEvent::NamespaceRemoved(nsid) => {
                if let Some(volume) = self.volumes.remove(&nsid) {
                    forget(volumes.delete(env, &volume));
                }
            }
            HostEvent::NamespaceResized { namespace_id, .. } => {
                if let Some(volume) = self.volumes.get(&namespace_id) {
                    volumes.note(Change::Resized(volume.clone()));
                }
            }
            HostEvent::ConnectionLost(why) => tracing::warn!(controller = self.name, %why, "connection lost"),
            HostEvent::Reconnected => tracing::info!(controller = self.name, "connected again"),
            HostEvent::DiscoveryLogChanged | HostEvent::AdminDone { .. } => {}
        }
    }

    fn add(&mut self, env: &mut dyn Env, volumes: &mut Volumes, nsid: u32) {
        let Some(namespace) = self.host.namespace(nsid) else { return };
        let (name, spec) =
            (format!("{}n{nsid}", self.name), Spec::Remote { controller: self.name.clone(), nsid });
        let identity = namespace.identity();
        let device = std::rc::Rc::new(namespace);
        let adopted = volumes.adopt_named(env, &name, identity, spec, device);
        match adopted {
            Ok(()) => drop(self.volumes.insert(nsid, name)),
            Err(why) => tracing::warn!(controller = self.name, nsid, %why, "a namespace cannot be used"),
        }
    }
}

/// The device to reach a controller from; none over TCP.
pub(crate) fn device_of(
    env: &mut dyn Env,
    devices: &mut Devices,
    options: &HostOptions,
) -> Result<Option<Place>, AttachError> {
    match options.transport {
        Transport::Tcp => Ok(None),
        Transport::Rdma => {
            let local = options.local.ok_or(AttachError::NoLocalAddress)?;
            Ok(Some(devices.acquire(env, local)?))
        }
    }
}

/// What a URL says, with this process's own identity where it says nothing.
fn options(env: &mut dyn Env, url: &NvmeUrl) -> Result<HostOptions, OpenError> {
    let parse = |text: &str| text.parse::<Nqn>().map_err(|_| AttachError::Nqn(text.into()));
    let address = url.address().ok_or(OpenError::Unresolved)?;
    let subsystem = parse(url.nqn.as_deref().ok_or(OpenError::NoSubsystem)?)?;
    let host = url.hostnqn.as_deref().map_or_else(|| Ok(Nqn::from_uuid(&random_uuid(env))), parse)?;
    let mut options = HostOptions::new(address, subsystem, host, host_id(&host));
    (options.transport, options.local) = (url.transport, url.from);
    options.digests = Digests { header: url.header_digest, data: url.data_digest };
    options.io_queues = url.queues.unwrap_or(options.io_queues);
    options.queue_size = url.depth.unwrap_or(options.queue_size);
    Ok(options)
}

/// A volume that is gone already needs no removal, and one that others are built on stays, as gone, until they are.
fn forget(removed: Result<(), VolumeError>) {
    if let Err(why) = removed {
        tracing::debug!(%why, "a volume of a controller stays behind");
    }
}

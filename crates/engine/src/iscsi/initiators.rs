//! Targets of others: a disk of each is a volume of this shard for as long as it is there.

use crate::fabric::{DeviceError, Devices, Leaver, Place, Told, User};
use crate::owners::Part;
use crate::url::IscsiUrl;
use crate::volumes::{Change, Spec, Volumes};
use crate::{OpenError, VolumeError};
use scsi::iscsi::initiator::{
    Failure, Initiator, InitiatorError, InitiatorEvent, InitiatorOptions, Transport,
};
use scsi::iscsi::login::DigestPolicy;
use scsi::iscsi::login::chap::ChapOptions;
use scsi::iscsi::{IscsiName, NameError};
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::env::{Env, Event, Owner};
use stdx::time::{Time, earliest};
use thiserror::Error;

/// The disks of other targets, by the name of their volume.
pub struct Initiators {
    places: Vec<Option<AttachedDisk>>,
    names: BTreeMap<String, u32>,
    limit: usize,
}

/// A disk of another target.
pub struct AttachedDisk {
    /// The volume's name here.
    pub name: String,
    /// What names the disk; it holds the secrets as well.
    pub url: IscsiUrl,
    /// Who we are to the target.
    pub initiator_name: IscsiName,
    /// The sessions.
    pub initiator: Initiator,
    state: State,
    /// The logical unit whose volume is there.
    lun: Option<u16>,
    waiting: Vec<Waiting>,
    /// The RDMA device it is on.
    device: Option<Place>,
}

/// Who waits to hear whether a disk could be attached.
type Waiting = Box<dyn FnOnce(Result<(), IscsiAttachError>) + Send>;

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Attaching,
    Attached,
    Failed(Failure),
}

/// Why a disk is not attached.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum IscsiAttachError {
    /// One is attached under that name.
    #[error("a disk is attached under that name already")]
    Exists,
    /// None is attached under that name.
    #[error("no disk is attached under that name")]
    Unknown,
    /// As many as there may be.
    #[error("there are as many disks as there may be")]
    Full,
    /// The name of a target or initiator is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The options make no sense, or memory is short.
    #[error(transparent)]
    Initiator(#[from] InitiatorError),
    /// There is no RDMA device to connect from.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Which device it is was not said.
    #[error("RDMA needs the address of this machine to connect from")]
    NoLocalAddress,
    /// It could not be connected.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The target has no such logical unit, or it is no disk.
    #[error("the target has no such disk")]
    NoDisk,
    /// Its volume cannot be made.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// It was let go before it was there.
    #[error("it was let go meanwhile")]
    Detached,
}

impl Initiators {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { places: Vec::new(), names: BTreeMap::new(), limit }
    }

    /// Begins to attach a disk as a volume of that name; `then` hears when it is there, or why it is not.
    pub(crate) fn attach(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        url: &IscsiUrl,
        options: InitiatorOptions,
        then: Waiting,
    ) {
        match self.begin(env, devices, name, url, options) {
            Ok(attached) => attached.waiting.push(then),
            Err(why) => then(Err(why)),
        }
    }

    /// Begins to attach the disk that a URL names.
    pub(crate) fn attach_url(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        url: &IscsiUrl,
    ) -> Result<(), OpenError> {
        let options = connect_options(url)?;
        self.begin(env, devices, name, url, options)?;
        Ok(())
    }

    /// Lets a disk go, and with it its volume.
    pub(crate) fn detach(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        volumes: &mut Volumes,
        name: &str,
    ) -> Result<(), IscsiAttachError> {
        let place = *self.names.get(name).ok_or(IscsiAttachError::Unknown)?;
        let attached = self.places[place as usize].as_ref().ok_or(IscsiAttachError::Unknown)?;
        if attached.lun.is_some() {
            volumes.delete(env, name)?;
        }
        self.names.remove(name);
        let Some(mut attached) = self.places[place as usize].take() else { return Ok(()) };
        attached.initiator.close(env);
        attached.waiting.drain(..).for_each(|then| then(Err(IscsiAttachError::Detached)));
        if let Some(device) = attached.device {
            devices.leave(User::Initiator(place), device, Leaver::Initiator(attached.initiator));
            devices.release(device);
        }
        Ok(())
    }

    /// The disk attached under that name.
    pub fn get(&self, name: &str) -> Option<&AttachedDisk> {
        self.names.get(name).and_then(|place| self.places[*place as usize].as_ref())
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &AttachedDisk> {
        self.names.values().filter_map(|place| self.places[*place as usize].as_ref())
    }

    /// The volume's name once it is there, or why it will not be.
    pub(crate) fn volume(&self, name: &str) -> Option<Result<String, OpenError>> {
        let Some(attached) = self.get(name) else { return Some(Err(IscsiAttachError::Unknown.into())) };
        match &attached.state {
            State::Attaching => None,
            State::Failed(why) => Some(Err(IscsiAttachError::Failed(why.clone()).into())),
            State::Attached if attached.lun.is_some() => Some(Ok(attached.name.clone())),
            State::Attached => Some(Err(IscsiAttachError::NoDisk.into())),
        }
    }

    pub(crate) fn handle_event(&mut self, env: &mut dyn Env, place: u32, event: &Event) {
        if let Some(Some(attached)) = self.places.get_mut(place as usize) {
            attached.initiator.handle_event(env, event);
        }
    }

    /// A device tells something to the initiator at a place.
    pub(crate) fn handle_told(&mut self, env: &mut dyn Env, devices: &mut Devices, place: u32, told: &Told) {
        let Some(Some(attached)) = self.places.get(place as usize) else { return };
        if let Some(device) = attached.device.and_then(|device| devices.get(device)) {
            told.to_initiator(env, device, &attached.initiator);
        }
    }

    /// Lets those on devices do what there is to do.
    pub(crate) fn drive(&self, env: &mut dyn Env, devices: &mut Devices) {
        for attached in self.places.iter().flatten() {
            if let Some(device) = attached.device.and_then(|device| devices.get(device)) {
                attached.initiator.drive(env, device);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let next = |attached: &AttachedDisk| match attached.initiator.has_events() {
            true => Some(Time::ZERO),
            false => attached.initiator.deadline(),
        };
        self.places.iter().flatten().map(next).fold(None, earliest)
    }

    pub(crate) fn handle_timeout(&mut self, env: &mut dyn Env) {
        let now = env.now();
        let due = |attached: &&AttachedDisk| attached.initiator.deadline().is_some_and(|at| at <= now);
        self.places.iter().flatten().filter(due).for_each(|attached| attached.initiator.handle_timeout(env));
    }

    /// Makes a volume of a disk that came, takes it away when it went, and tells who waits.
    pub(crate) fn poll(&mut self, env: &mut dyn Env, volumes: &mut Volumes) {
        for attached in self.places.iter_mut().flatten() {
            while let Some(event) = attached.initiator.poll_event() {
                attached.handle(env, volumes, event);
            }
        }
    }

    /// Sends what was asked for in this turn.
    pub(crate) fn flush(&self, env: &mut dyn Env, devices: &mut Devices) {
        self.places.iter().flatten().for_each(|attached| attached.initiator.flush(env));
        self.drive(env, devices);
    }

    fn begin(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        url: &IscsiUrl,
        options: InitiatorOptions,
    ) -> Result<&mut AttachedDisk, IscsiAttachError> {
        if self.names.contains_key(name) {
            return Err(IscsiAttachError::Exists);
        }
        if self.names.len() >= self.limit {
            return Err(IscsiAttachError::Full);
        }
        let is_free = |place: &usize| {
            let user = User::Initiator(*place as u32);
            self.places.get(*place).is_none_or(Option::is_none) && !devices.is_leaving(user)
        };
        let place = (0..).find(is_free).unwrap_or(self.places.len());
        let initiator_name = options.initiator.clone();
        let device = device_of(env, devices, &options)?;
        let owner = match options.transport {
            Transport::Tcp => Part::Initiator(place as u32).owner(),
            Transport::Rdma => Owner(User::Initiator(place as u32).owner_base()),
        };
        let initiator = Initiator::connect(env, owner, options)
            .inspect_err(|_| device.into_iter().for_each(|device| devices.release(device)))?;
        let attached = AttachedDisk {
            name: name.into(),
            url: url.clone(),
            initiator_name,
            initiator,
            state: State::Attaching,
            lun: None,
            waiting: Vec::new(),
            device,
        };
        if self.places.len() <= place {
            self.places.resize_with(place + 1, || None);
        }
        self.names.insert(name.into(), place as u32);
        Ok(self.places[place].insert(attached))
    }
}

impl AttachedDisk {
    fn handle(&mut self, env: &mut dyn Env, volumes: &mut Volumes, event: InitiatorEvent) {
        match event {
            InitiatorEvent::Connected => {
                self.state = State::Attached;
                let there = self.lun.is_some();
                let told = || if there { Ok(()) } else { Err(IscsiAttachError::NoDisk) };
                self.waiting.drain(..).for_each(|then| then(told()));
            }
            InitiatorEvent::Failed(why) => {
                tracing::warn!(disk = self.name, %why, "a disk is lost for good");
                self.state = State::Failed(why.clone());
                self.waiting.drain(..).for_each(|then| then(Err(IscsiAttachError::Failed(why.clone()))));
            }
            InitiatorEvent::DiskAdded(lun) => self.add(env, volumes, lun),
            InitiatorEvent::DiskRemoved(lun) if self.lun == Some(lun) => {
                self.lun = None;
                if let Err(why) = volumes.delete(env, &self.name) {
                    tracing::debug!(%why, "the volume of a disk stays behind");
                }
            }
            InitiatorEvent::DiskResized { lun, .. } if self.lun == Some(lun) => {
                volumes.note(Change::Resized(self.name.clone()));
            }
            InitiatorEvent::DiskRemoved(_) | InitiatorEvent::DiskResized { .. } => {}
            InitiatorEvent::ConnectionLost(why) => tracing::warn!(disk = self.name, %why, "connection lost"),
            InitiatorEvent::Reconnected => tracing::info!(disk = self.name, "connected again"),
        }
    }

    /// The first disk becomes the volume: there is one, unless the URL names none.
    fn add(&mut self, env: &mut dyn Env, volumes: &mut Volumes, lun: u16) {
        let wanted = self.url.lun.is_none_or(|wanted| wanted == lun) && self.lun.is_none();
        let Some(disk) = self.initiator.disk(lun).filter(|_| wanted) else { return };
        let (identity, spec, device) = (disk.identity(), Spec::Disk { lun }, Rc::new(disk));
        match volumes.adopt_named(env, &self.name, identity, spec, device) {
            Ok(()) => self.lun = Some(lun),
            Err(why) => tracing::warn!(disk = self.name, lun, %why, "a disk cannot be used"),
        }
    }
}

/// The device to reach a target from; none over TCP.
fn device_of(
    env: &mut dyn Env,
    devices: &mut Devices,
    options: &InitiatorOptions,
) -> Result<Option<Place>, IscsiAttachError> {
    match options.transport {
        Transport::Tcp => Ok(None),
        Transport::Rdma => {
            let local = options.local.ok_or(IscsiAttachError::NoLocalAddress)?;
            Ok(Some(devices.acquire(env, local)?))
        }
    }
}

/// What a URL says, with this program's own name where it says nothing.
pub fn connect_options(url: &IscsiUrl) -> Result<InitiatorOptions, OpenError> {
    options_for(url, url.target.as_deref().ok_or(OpenError::NoTarget)?)
}

/// The same for asking the portal which targets it knows.
pub fn portal_options(url: &IscsiUrl) -> Result<InitiatorOptions, OpenError> {
    options_for(url, url.target.as_deref().unwrap_or(DEFAULT_INITIATOR))
}

fn options_for(url: &IscsiUrl, target: &str) -> Result<InitiatorOptions, OpenError> {
    let address = url.address().ok_or(OpenError::Unresolved)?;
    let parse = |text: &str| IscsiName::parse(text).map_err(IscsiAttachError::from);
    let target = parse(target)?;
    let initiator = parse(url.initiator.as_deref().unwrap_or(DEFAULT_INITIATOR))?;
    let mut options = InitiatorOptions::new(address, target, initiator);
    (options.transport, options.local) = (url.transport, url.from);
    options.lun = url.lun;
    options.chap = url.credentials.as_ref().map(|own| {
        let mutual = url.target_credentials.as_ref();
        ChapOptions {
            mutual: mutual.map(|peer| (Some(peer.user.clone()), peer.secret.0.clone())),
            ..ChapOptions::one_way(own.user.clone(), own.secret.0.clone())
        }
    });
    let digest = |wanted: bool| if wanted { DigestPolicy::Required } else { DigestPolicy::Allowed };
    options.header_digest = digest(url.header_digest);
    options.data_digest = digest(url.data_digest);
    options.sessions = url.sessions.unwrap_or(options.sessions);
    options.connections = url.connections.unwrap_or(options.connections);
    options.commands_max = url.depth.unwrap_or(options.commands_max);
    options.error_recovery_level = url.error_recovery_level.unwrap_or(options.error_recovery_level);
    options.alias = url.alias.clone().unwrap_or_default();
    options.isid = url.isid;
    for (timer, time) in &url.timings {
        timer.set(&mut options, *time);
    }
    Ok(options)
}

/// Who we are if nothing else is said.
const DEFAULT_INITIATOR: &str = "iqn.2026-01.org.weft:initiator";

//! SRP targets of others: a disk of each is a volume of this shard for as long as it is there.

use crate::fabric::{DeviceError, Devices, Leaver, Place, Told, User};
use crate::url::SrpUrl;
use crate::volumes::{Change, Spec, Volumes};
use crate::{OpenError, VolumeError};
use scsi::srp::initiator::{Failure, Initiator, InitiatorError, InitiatorEvent, InitiatorOptions};
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::env::{Env, Owner};
use stdx::time::{Time, earliest};
use thiserror::Error;
use wire::srp::PortId;

/// The disks of SRP targets, by the name of their volume.
pub struct SrpDisks {
    places: Vec<Option<SrpDisk>>,
    names: BTreeMap<String, u32>,
    limit: usize,
}

/// A disk of an SRP target.
pub struct SrpDisk {
    /// The volume's name here.
    pub name: String,
    /// What names the disk.
    pub url: SrpUrl,
    /// The channels.
    pub initiator: Initiator,
    device: Place,
    state: State,
    /// The logical unit whose volume is there.
    lun: Option<u16>,
    waiting: Vec<Waiting>,
}

/// Who waits to hear whether a disk could be attached.
type Waiting = Box<dyn FnOnce(Result<(), SrpAttachError>) + Send>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Attaching,
    Attached,
    Failed(Failure),
}

/// Why a disk is not attached.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SrpAttachError {
    /// One is attached under that name.
    #[error("a disk is attached under that name already")]
    Exists,
    /// None is attached under that name.
    #[error("no disk is attached under that name")]
    Unknown,
    /// As many as there may be.
    #[error("there are as many disks as there may be")]
    Full,
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

impl SrpDisks {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { places: Vec::new(), names: BTreeMap::new(), limit }
    }

    /// Begins to attach the disk that a URL names as a volume of that name; `then` hears when it is there, or why it is not.
    pub(crate) fn attach(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        url: &SrpUrl,
        then: Waiting,
    ) {
        match self.begin(env, devices, name, url) {
            Ok(attached) => attached.waiting.push(then),
            Err(OpenError::Srp(why)) => then(Err(why)),
            // The only other thing that can be wrong with a URL is its host.
            Err(_) => then(Err(SrpAttachError::NoLocalAddress)),
        }
    }

    /// Begins to attach the disk that a URL names.
    pub(crate) fn attach_url(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        url: &SrpUrl,
    ) -> Result<(), OpenError> {
        self.begin(env, devices, name, url)?;
        Ok(())
    }

    /// Lets a disk go, and with it its volume.
    pub(crate) fn detach(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        volumes: &mut Volumes,
        name: &str,
    ) -> Result<(), SrpAttachError> {
        let place = *self.names.get(name).ok_or(SrpAttachError::Unknown)?;
        let attached = self.places[place as usize].as_ref().ok_or(SrpAttachError::Unknown)?;
        if attached.lun.is_some() {
            volumes.delete(env, name)?;
        }
        self.names.remove(name);
        let Some(mut attached) = self.places[place as usize].take() else { return Ok(()) };
        attached.initiator.close();
        attached.waiting.drain(..).for_each(|then| then(Err(SrpAttachError::Detached)));
        devices.leave(User::SrpDisk(place), attached.device, Leaver::SrpDisk(attached.initiator));
        devices.release(attached.device);
        Ok(())
    }

    /// The disk attached under that name.
    pub fn get(&self, name: &str) -> Option<&SrpDisk> {
        self.names.get(name).and_then(|place| self.places[*place as usize].as_ref())
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &SrpDisk> {
        self.names.values().filter_map(|place| self.places[*place as usize].as_ref())
    }

    /// The volume's name once it is there, or why it will not be.
    pub(crate) fn volume(&self, name: &str) -> Option<Result<String, OpenError>> {
        let Some(attached) = self.get(name) else { return Some(Err(SrpAttachError::Unknown.into())) };
        match attached.state {
            State::Attaching => None,
            State::Failed(why) => Some(Err(SrpAttachError::Failed(why).into())),
            State::Attached if attached.lun.is_some() => Some(Ok(attached.name.clone())),
            State::Attached => Some(Err(SrpAttachError::NoDisk.into())),
        }
    }

    /// A device tells something to the disk at a place.
    pub(crate) fn handle_told(&mut self, env: &mut dyn Env, devices: &mut Devices, place: u32, told: &Told) {
        let Some(Some(attached)) = self.places.get(place as usize) else { return };
        if let Some(device) = devices.get(attached.device) {
            told.to_srp(env, device, &attached.initiator);
        }
    }

    /// Lets them do what there is to do.
    pub(crate) fn drive(&self, env: &mut dyn Env, devices: &mut Devices) {
        for attached in self.places.iter().flatten() {
            if let Some(device) = devices.get(attached.device) {
                attached.initiator.drive(env, device);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let next = |attached: &SrpDisk| match attached.initiator.has_events() {
            true => Some(Time::ZERO),
            false => attached.initiator.deadline(),
        };
        self.places.iter().flatten().map(next).fold(None, earliest)
    }

    pub(crate) fn handle_timeout(&self, env: &mut dyn Env) {
        let now = env.now();
        let due = |attached: &&SrpDisk| attached.initiator.deadline().is_some_and(|at| at <= now);
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

    fn begin(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        url: &SrpUrl,
    ) -> Result<&mut SrpDisk, OpenError> {
        if self.names.contains_key(name) {
            return Err(SrpAttachError::Exists.into());
        }
        if self.names.len() >= self.limit {
            return Err(SrpAttachError::Full.into());
        }
        let options = options(env, url)?;
        let is_free = |place: &usize| {
            let user = User::SrpDisk(*place as u32);
            self.places.get(*place).is_none_or(Option::is_none) && !devices.is_leaving(user)
        };
        let place = (0..).find(is_free).unwrap_or(self.places.len());
        let local = options.local.ok_or(SrpAttachError::NoLocalAddress)?;
        let device = devices.acquire(env, local).map_err(SrpAttachError::from)?;
        let owner = Owner(User::SrpDisk(place as u32).owner_base());
        let initiator = Initiator::connect(env, owner, options)
            .inspect_err(|_| devices.release(device))
            .map_err(SrpAttachError::from)?;
        let (name, url) = (name.to_owned(), url.clone());
        self.names.insert(name.clone(), place as u32);
        if self.places.len() <= place {
            self.places.resize_with(place + 1, || None);
        }
        let (state, lun, waiting) = (State::Attaching, None, Vec::new());
        Ok(self.places[place].insert(SrpDisk { name, url, initiator, device, state, lun, waiting }))
    }
}

impl SrpDisk {
    fn handle(&mut self, env: &mut dyn Env, volumes: &mut Volumes, event: InitiatorEvent) {
        match event {
            InitiatorEvent::Connected => {
                self.state = State::Attached;
                let there = self.lun.is_some();
                let told = || if there { Ok(()) } else { Err(SrpAttachError::NoDisk) };
                self.waiting.drain(..).for_each(|then| then(told()));
            }
            InitiatorEvent::Failed(why) => {
                tracing::warn!(disk = self.name, %why, "a disk is lost for good");
                self.state = State::Failed(why);
                self.waiting.drain(..).for_each(|then| then(Err(SrpAttachError::Failed(why))));
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
        let (identity, device) = (disk.identity(), Rc::new(disk));
        match volumes.adopt_named(env, &self.name, identity, Spec::SrpDisk { lun }, device) {
            Ok(()) => self.lun = Some(lun),
            Err(why) => tracing::warn!(disk = self.name, lun, %why, "a disk cannot be used"),
        }
    }
}

/// What a URL says, with a name of our own drawn at random where it says none.
fn options(env: &mut dyn Env, url: &SrpUrl) -> Result<InitiatorOptions, OpenError> {
    let address = url.address().ok_or(OpenError::Unresolved)?;
    let random = PortId { extension: env.entropy(), guid: env.entropy() };
    let mut options = InitiatorOptions::new(address, url.target, url.initiator.unwrap_or(random));
    options.service = url.service;
    options.local = url.from;
    options.lun = url.lun;
    options.channels = url.channels.unwrap_or(options.channels);
    options.commands_max = url.depth.unwrap_or(options.commands_max);
    options.immediate_max = url.immediate_max.unwrap_or(options.immediate_max);
    options.piece_max = url.piece_max.or(options.piece_max);
    for (timer, time) in &url.timings {
        timer.set_srp(&mut options, *time);
    }
    Ok(options)
}

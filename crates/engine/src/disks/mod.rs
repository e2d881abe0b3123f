//! Disks of SCSI targets elsewhere: each is a volume of this shard, under its name, for as long as it is there.
//!
//! Which protocol a target speaks is the [`Link`]'s business, of which there is one a disk: iSCSI's and SRP's initiators.

mod disk;
mod error;
mod link;

pub use disk::AttachedDisk;
pub use error::AttachDiskError;
pub use link::Link;
pub(crate) use link::{Driven, Way};

use crate::OpenError;
use crate::fabric::{Devices, Told};
use crate::named::{Named, NoPlace};
use crate::volumes::Volumes;
use disk::State;
use stdx::env::{Env, Event, Owner};
use stdx::time::{Time, earliest};

/// The disks that are reached by one protocol, by the names of their volumes.
pub struct Disks<L: Link> {
    attached: Named<AttachedDisk<L>>,
}

/// Who waits to hear whether a disk could be attached.
pub(crate) type Waiting<L> = Box<dyn FnOnce(Result<(), ErrorOf<L>>) + Send>;

/// Why a disk is not attached, in the words of its protocol.
pub(crate) type ErrorOf<L> = AttachDiskError<<L as Link>::Error, <L as Link>::Failure>;

impl<L: Link> Disks<L> {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { attached: Named::new(limit) }
    }

    /// The disk attached under that name.
    pub fn get(&self, name: &str) -> Option<&AttachedDisk<L>> {
        self.attached.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &AttachedDisk<L>> {
        self.attached.by_name()
    }
}

#[expect(private_bounds, reason = "the shard alone drives them")]
impl<L: Driven> Disks<L> {
    /// Begins to attach a disk as a volume of that name; `then` hears when it is there, or why it is not.
    pub(crate) fn attach(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        url: &L::Url,
        options: L::Options,
        then: Waiting<L>,
    ) {
        match self.begin(env, devices, name, url, options) {
            Ok(attached) => attached.waiting.push(then),
            Err(why) => then(Err(why)),
        }
    }

    /// The same, for one who asks [`Disks::volume`] in each turn.
    pub(crate) fn begin(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        name: &str,
        url: &L::Url,
        options: L::Options,
    ) -> Result<&mut AttachedDisk<L>, ErrorOf<L>> {
        let place = self.attached.vacancy(name, |place| devices.is_leaving(L::user(place)))?;
        let device = match L::way(&options) {
            Way::Stream => None,
            Way::Device(local) => {
                let local = local.ok_or(AttachDiskError::NoLocalAddress)?;
                Some(devices.acquire(env, local)?)
            }
        };
        let owner = match device {
            None => L::stream_owner(place),
            Some(_) => Owner(L::user(place).owner_base()),
        };
        let link = L::connect(env, owner, options)
            .inspect_err(|_| device.into_iter().for_each(|device| devices.release(device)))
            .map_err(AttachDiskError::Initiator)?;
        Ok(self.attached.insert(place, name, AttachedDisk::new(name, url, link, device)))
    }

    /// Lets a disk go, and with it its volume.
    pub(crate) fn detach(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        volumes: &mut Volumes,
        name: &str,
    ) -> Result<(), ErrorOf<L>> {
        if self.get(name).ok_or(AttachDiskError::Unknown)?.lun.is_some() {
            volumes.delete(env, name)?;
        }
        let Some((place, mut attached)) = self.attached.remove(name) else { return Ok(()) };
        attached.initiator.close(env);
        attached.waiting.drain(..).for_each(|then| then(Err(AttachDiskError::Detached)));
        if let Some(device) = attached.device {
            devices.leave(L::user(place), device, attached.initiator.into_leaver());
            devices.release(device);
        }
        Ok(())
    }

    /// The volume's name once it is there, or why it will not be.
    pub(crate) fn volume(&self, name: &str) -> Option<Result<String, OpenError>>
    where
        OpenError: From<ErrorOf<L>>,
    {
        let told = match self.get(name) {
            None => Err(AttachDiskError::Unknown),
            Some(attached) => match &attached.state {
                State::Attaching => return None,
                State::Failed(why) => Err(AttachDiskError::Failed(why.clone())),
                State::Attached if attached.lun.is_some() => Ok(attached.name.clone()),
                State::Attached => Err(AttachDiskError::NoDisk),
            },
        };
        Some(told.map_err(OpenError::from))
    }

    /// Something happened to a stream of the disk at a place.
    pub(crate) fn handle_event(&mut self, env: &mut dyn Env, place: u32, event: &Event) {
        if let Some(attached) = self.attached.at(place) {
            attached.initiator.handle_event(env, event);
        }
    }

    /// A device tells something to the disk at a place.
    pub(crate) fn handle_told(&mut self, env: &mut dyn Env, devices: &mut Devices, place: u32, told: &Told) {
        let Some(attached) = self.attached.at(place) else { return };
        if let Some(device) = attached.device.and_then(|device| devices.get(device)) {
            attached.initiator.handle_told(env, device, told);
        }
    }

    /// Lets those on devices do what there is to do.
    pub(crate) fn drive(&self, env: &mut dyn Env, devices: &mut Devices) {
        for attached in self.attached.iter() {
            if let Some(device) = attached.device.and_then(|device| devices.get(device)) {
                attached.initiator.drive(env, device);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        // What happened in an attempt to connect, or when a turn's commands were sent, is told in the next turn.
        let next = |attached: &AttachedDisk<L>| match attached.initiator.has_events() {
            true => Some(Time::ZERO),
            false => attached.initiator.deadline(),
        };
        self.attached.iter().map(next).fold(None, earliest)
    }

    pub(crate) fn handle_timeout(&self, env: &mut dyn Env) {
        let now = env.now();
        let due = |attached: &&AttachedDisk<L>| attached.initiator.deadline().is_some_and(|at| at <= now);
        self.attached.iter().filter(due).for_each(|attached| attached.initiator.handle_timeout(env));
    }

    /// Makes volumes of disks that came, takes those away that went, and tells who waits.
    pub(crate) fn poll(&mut self, env: &mut dyn Env, volumes: &mut Volumes) {
        for attached in self.attached.iter_mut() {
            while let Some(event) = attached.initiator.poll_event() {
                attached.handle(env, volumes, event);
            }
        }
    }

    /// Sends what was asked for in this turn.
    pub(crate) fn flush(&self, env: &mut dyn Env, devices: &mut Devices) {
        self.attached.iter().for_each(|attached| attached.initiator.flush(env));
        self.drive(env, devices);
    }
}

impl<E, F> From<NoPlace> for AttachDiskError<E, F> {
    fn from(why: NoPlace) -> Self {
        match why {
            NoPlace::Exists => Self::Exists,
            NoPlace::Full => Self::Full,
        }
    }
}

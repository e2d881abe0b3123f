//! The volumes of a shard, by name: made, found, changed and taken away.
//!
//! Every volume is a [`Volume`] over the device its [`Spec`] says. A volume that others are built on cannot be taken away
//! before them. Namespaces served from a volume are not this module's business: `nvmf` looks after them.

mod build;
mod error;
mod lent;
mod spec;

pub use build::Kind;
pub use error::VolumeError;
pub use spec::{FileSpec, KeySource, Spec};

use crate::keys::Encrypted;
use crate::named::{Named, NoPlace};
use crate::owners::Part;
use block::device::{Crypt, Keeping, Key};
use block::{BlockDevice, Identity, Volume};
use std::rc::Rc;
use stdx::env::{Env, Event, random_uuid};
use stdx::time::{Time, earliest};

/// The volumes of a shard.
#[derive(Debug)]
pub struct Volumes {
    entries: Named<Entry>,
    changes: Vec<Change>,
}

/// A volume and how it was made.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// How it was made.
    pub spec: Spec,
    /// The volume.
    pub volume: Rc<Volume>,
    /// Its device, where that can be told things.
    pub kind: Kind,
}

/// What happened to the volumes, for whoever wants to tell of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A volume is there.
    Added(String),
    /// A volume is gone.
    Removed(String),
    /// A volume has another size.
    Resized(String),
}

impl Volumes {
    /// None yet, and at most `limit`.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { entries: Named::new(limit), changes: Vec::new() }
    }

    /// Makes a volume. Without an identity it gets a random one (RFC 9562, version 4).
    pub(crate) fn create(
        &mut self,
        env: &mut dyn Env,
        name: &str,
        identity: Option<Identity>,
        spec: Spec,
    ) -> Result<Identity, VolumeError> {
        let (place, identity) = self.admit(env, name, identity)?;
        let (device, kind) = self.build(env, Part::Volume(place).owner(), &spec)?;
        self.register(place, name, identity, spec, device, kind);
        Ok(identity)
    }

    /// Makes a volume that keeps another's blocks encrypted.
    pub(crate) fn encrypt(
        &mut self,
        env: &mut dyn Env,
        volume: &Encrypted,
        source: KeySource,
        key: &Key,
        keeping: Keeping,
    ) -> Result<Identity, VolumeError> {
        let (place, identity) = self.admit(env, &volume.name, volume.identity)?;
        let crypt = Rc::new(Crypt::new(self.base(&volume.base)?, key, keeping));
        let spec = Spec::Crypt { base: volume.base.clone(), key: source };
        self.register(place, &volume.name, identity, spec, Rc::<Crypt>::clone(&crypt), Kind::Crypt(crypt));
        Ok(identity)
    }

    /// Registers a device that somebody else made and drives (a namespace or disk of a remote target).
    fn adopt(
        &mut self,
        env: &mut dyn Env,
        name: &str,
        identity: Option<Identity>,
        spec: Spec,
        device: Rc<dyn BlockDevice>,
    ) -> Result<(), VolumeError> {
        let (place, identity) = self.admit(env, name, identity)?;
        self.register(place, name, identity, spec, Rc::new(lent::Lent(device)), Kind::Plain);
        Ok(())
    }

    /// The same. A volume that is here under another name already (two paths, or served and attached in one process) gets
    /// an identity made of this name, the same each time.
    pub(crate) fn adopt_named(
        &mut self,
        env: &mut dyn Env,
        name: &str,
        identity: Option<Identity>,
        spec: Spec,
        device: Rc<dyn BlockDevice>,
    ) -> Result<(), VolumeError> {
        let is_taken = |identity: &Identity| self.iter().any(|entry| entry.volume.identity() == *identity);
        let by_name = |identity: Identity| stdx::uuid::of_name(&format!("{:02x?} {name}", identity.0));
        let identity = identity.map(|identity| match is_taken(&identity) {
            true => Identity(by_name(identity)),
            false => identity,
        });
        self.adopt(env, name, identity, spec, device)
    }

    /// Takes a volume away; its users see it go.
    pub(crate) fn delete(&mut self, env: &mut dyn Env, name: &str) -> Result<(), VolumeError> {
        self.get(name).ok_or(VolumeError::Unknown)?;
        if self.iter().any(|entry| entry.spec.base() == Some(name)) {
            return Err(VolumeError::InUse);
        }
        if let Some((_, entry)) = self.entries.remove(name) {
            entry.volume.close(env);
        }
        self.changes.push(Change::Removed(name.into()));
        Ok(())
    }

    /// Makes a volume `blocks` long.
    pub(crate) fn resize(&mut self, env: &mut dyn Env, name: &str, blocks: u64) -> Result<(), VolumeError> {
        let entry = self.get(name).ok_or(VolumeError::Unknown)?;
        entry.volume.resize(env, blocks).map_err(VolumeError::Device)?;
        if let Spec::Ram { blocks: size, .. } | Spec::Null { blocks: size, .. } =
            &mut self.entry_mut(name)?.spec
        {
            *size = blocks;
        }
        self.changes.push(Change::Resized(name.into()));
        Ok(())
    }

    /// Looks at the size of a file again.
    pub(crate) fn rescan(&mut self, env: &mut dyn Env, name: &str) -> Result<(), VolumeError> {
        let entry = self.get(name).ok_or(VolumeError::Unknown)?;
        let Kind::File(file) = &entry.kind else { return Err(VolumeError::WrongKind) };
        let before = entry.volume.info().blocks;
        file.rescan(env)?;
        if entry.volume.info().blocks != before {
            self.changes.push(Change::Resized(name.into()));
        }
        Ok(())
    }

    /// Changes the delays (mean and 99th percentile, in microseconds) of a volume that has some.
    pub(crate) fn set_delays(
        &mut self,
        name: &str,
        reads: (u64, u64),
        writes: (u64, u64),
    ) -> Result<(), VolumeError> {
        let entry = self.entry_mut(name)?;
        let (Kind::Delay(device), Spec::Delay { read_us, write_us, .. }) = (&entry.kind, &mut entry.spec)
        else {
            return Err(VolumeError::WrongKind);
        };
        (*read_us, *write_us) = (reads, writes);
        device.set_latencies(build::latencies(reads, writes));
        Ok(())
    }

    /// The volume of that name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// All volumes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.by_name()
    }

    /// What happened since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        core::mem::take(&mut self.changes)
    }

    pub(crate) fn note(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(crate) fn handle_event(&self, env: &mut dyn Env, place: u32, event: &Event) {
        if let Some(entry) = self.entries.at(place) {
            entry.volume.handle_event(env, event);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.entries.iter().map(|entry| entry.volume.deadline()).fold(None, earliest)
    }

    pub(crate) fn handle_timeout(&self, env: &mut dyn Env) {
        let now = env.now();
        let due = |entry: &&Entry| entry.volume.deadline().is_some_and(|deadline| deadline <= now);
        self.entries.iter().filter(due).for_each(|entry| entry.volume.handle_timeout(env));
    }

    /// A place and an identity for a new volume, if it may be.
    fn admit(
        &self,
        env: &mut dyn Env,
        name: &str,
        identity: Option<Identity>,
    ) -> Result<(u32, Identity), VolumeError> {
        let taken = |identity: Identity| self.iter().any(|entry| entry.volume.identity() == identity);
        if identity.is_some_and(taken) {
            return Err(VolumeError::Exists);
        }
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(VolumeError::Parameters);
        }
        let place = self.entries.vacancy(name, |_| false).map_err(|why| match why {
            NoPlace::Exists => VolumeError::Exists,
            NoPlace::Full => VolumeError::Full,
        })?;
        Ok((place, identity.unwrap_or_else(|| Identity(random_uuid(env)))))
    }

    fn register(
        &mut self,
        place: u32,
        name: &str,
        identity: Identity,
        spec: Spec,
        device: Rc<dyn BlockDevice>,
        kind: Kind,
    ) {
        let volume = Rc::new(Volume::new(device, identity));
        let entry = Entry { name: name.into(), spec, volume, kind };
        self.entries.insert(place, name, entry);
        self.changes.push(Change::Added(name.into()));
    }

    fn entry_mut(&mut self, name: &str) -> Result<&mut Entry, VolumeError> {
        self.entries.get_mut(name).ok_or(VolumeError::Unknown)
    }
}

/// Bytes of a volume's name.
const NAME_MAX: usize = 255;

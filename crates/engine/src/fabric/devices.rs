//! The RDMA devices of a shard, one for each address of this machine that somebody uses.

use super::DeviceInfo;
use super::device::OpenDevice;
use super::leaving::Leaving;
use super::maker::{self, DeviceError, DeviceOptions};
use crate::owners::Part;
use core::net::IpAddr;
use std::collections::BTreeMap;
use stdx::env::{Env, Event, Owner};
use stdx::slab::Key;
use stdx::time::{Time, earliest};
use verbs::{ConnectionEvent, Device, Mtu};

/// See the module.
pub struct Devices {
    places: Vec<Option<Entry>>,
    options: DeviceOptions,
    /// Devices at once.
    limit: usize,
    pub(super) leaving: Vec<Leaving>,
    /// The largest payload of a packet at addresses where that was told.
    packets: BTreeMap<IpAddr, Mtu>,
}

/// A device, and how many use it.
struct Entry {
    address: IpAddr,
    open: Box<dyn OpenDevice>,
    users: usize,
}

/// Where a device is in [`Devices`], for as long as it is used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place(pub(crate) u8);

impl Place {
    /// What tells the connections of a server on this device from those of the same target's other servers.
    pub(crate) const fn tag(self) -> u8 {
        self.0 + 1
    }
}

/// What a device tells.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// Of its objects.
    Event(verbs::Event),
    /// Of connections.
    Connection(Box<ConnectionEvent>),
}

impl Devices {
    pub(crate) fn new(options: DeviceOptions, limit: usize) -> Self {
        Self {
            places: Vec::new(),
            options,
            limit: limit.min(DEVICES_MAX),
            leaving: Vec::new(),
            packets: BTreeMap::new(),
        }
    }

    /// All devices.
    pub fn iter(&self) -> impl Iterator<Item = DeviceInfo> {
        self.places.iter().flatten().map(|entry| entry.open.info())
    }

    /// Says what packets the interface with an address carries; of a device that is not open yet.
    pub fn set_packets(&mut self, address: IpAddr, largest: Mtu) {
        self.packets.insert(address, largest);
    }

    /// The device at an address of this machine, opened if it is not yet. It is there until [`Devices::release`] was called as
    /// often.
    pub(crate) fn acquire(&mut self, env: &mut dyn Env, address: IpAddr) -> Result<Place, DeviceError> {
        if address.is_unspecified() {
            return Err(DeviceError::Unspecified);
        }
        let is_it = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| entry.address == address);
        if let Some(place) = self.places.iter().position(is_it) {
            if let Some(entry) = &mut self.places[place] {
                entry.users += 1;
            }
            return Ok(Place(place as u8));
        }
        let place = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
        if place >= self.limit {
            return Err(DeviceError::TooMany);
        }
        let open = maker::open(
            env,
            Part::Device(place as u32).owner(),
            address,
            self.packets.get(&address).copied(),
            &self.options,
        )?;
        if place == self.places.len() {
            self.places.push(None);
        }
        self.places[place] = Some(Entry { address, open, users: 1 });
        Ok(Place(place as u8))
    }

    /// One user more of a device that is used.
    pub(super) fn retain(&mut self, place: Place) {
        if let Some(Some(entry)) = self.places.get_mut(usize::from(place.0)) {
            entry.users += 1;
        }
    }

    /// One user less. With the last, the device goes as soon as nothing of it is under way.
    pub(crate) fn release(&mut self, place: Place) {
        if let Some(Some(entry)) = self.places.get_mut(usize::from(place.0)) {
            entry.users -= 1;
        }
    }

    /// A device that is used.
    pub(crate) fn get(&mut self, place: Place) -> Option<&mut dyn Device> {
        let entry = self.places.get_mut(usize::from(place.0))?.as_mut()?;
        Some(entry.open.device())
    }

    /// An event of the environment for the device at a place.
    pub(crate) fn handle_event(&mut self, env: &mut dyn Env, place: u32, event: &Event) {
        if let Some(Some(entry)) = self.places.get_mut(place as usize) {
            entry.open.device().handle_event(env, event);
        }
    }

    /// When [`Devices::turn`] is due even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let deadlines = self.places.iter().flatten().map(|entry| entry.open.as_device().deadline());
        earliest(self.leavers_deadline(), deadlines.fold(None, earliest))
    }

    /// Has those devices that have something to do do it, and closes those that nobody uses any more.
    pub(crate) fn turn(&mut self, env: &mut dyn Env) {
        for place in &mut self.places {
            let Some(entry) = place else { continue };
            let device = entry.open.device();
            if device.deadline().is_some_and(|deadline| deadline <= env.now()) {
                device.turn(env);
            }
            if entry.users == 0
                && device.deadline().is_none()
                && let Some(entry) = place.take()
            {
                entry.open.close(env);
            }
        }
    }

    /// The next thing that a device has to tell.
    pub(crate) fn poll(&mut self) -> Option<(Place, Owner, Told)> {
        let mut entries = self.places.iter_mut().enumerate();
        entries.find_map(|(place, entry)| {
            let device = entry.as_mut()?.open.device();
            let place = Place(place as u8);
            let event = device.poll_event().map(|event| (place, event.owner, Told::Event(event)));
            event.or_else(|| {
                device.poll_connection().map(|told| (place, told.owner, Told::Connection(Box::new(told))))
            })
        })
    }

    /// Asserts what always holds between turns.
    pub(crate) fn check(&self) {
        self.places.iter().flatten().for_each(|entry| entry.open.check());
    }
}

impl core::fmt::Debug for Devices {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The most devices of a shard: the servers on each are told apart by tags, of which the servers of streams have the first.
pub const DEVICES_MAX: usize = Key::TAGS - 1;

//! A protocol's servers: one on each device that it listens on.

use super::{DeviceError, Devices, Place, Told};
use core::net::IpAddr;
use stdx::env::Env;
use stdx::time::{Time, earliest};
use verbs::Device;

/// What all protocols' servers have in common.
pub(crate) trait End {
    /// Something happened on the device.
    fn handle(&mut self, env: &mut dyn Env, device: &mut dyn Device, told: &Told);

    /// When it wants to be polled even if nothing happens.
    fn deadline(&self) -> Option<Time>;

    /// Whether no connection is left.
    fn is_drained(&self) -> bool;

    /// Whether there is neither a listener nor a connection: nothing is left to do but [`End::free`].
    fn is_idle(&self) -> bool;

    /// Asserts what always holds; says how many I/O buffers of the shard it has.
    fn check(&self) -> usize;

    /// Gives everything back to the device and the environment.
    fn free(self, env: &mut dyn Env, device: &mut dyn Device);
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Servers<S> {
    places: Vec<Option<S>>,
}

impl<S: End> Servers<S> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new() }
    }

    /// The server on the device at an address of this machine, both made if they are not there yet. The device is used until
    /// [`Servers::sweep`] finds the server idle.
    pub(crate) fn on<E: From<DeviceError>>(
        &mut self,
        env: &mut dyn Env,
        devices: &mut Devices,
        address: IpAddr,
        make: impl FnOnce(&mut dyn Env, &mut dyn Device, Place) -> Result<S, E>,
    ) -> Result<Place, E> {
        let place = devices.acquire(env, address)?;
        let index = usize::from(place.0);
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        if self.places[index].is_some() {
            // It uses the device already.
            devices.release(place);
        } else if let Some(device) = devices.get(place) {
            let made = make(env, device, place);
            self.places[index] = Some(made.inspect_err(|_| devices.release(place))?);
        }
        Ok(place)
    }

    /// The server on a device, and the device.
    pub(crate) fn get<'a>(
        &'a mut self,
        devices: &'a mut Devices,
        place: Place,
    ) -> Option<(&'a mut S, &'a mut dyn Device)> {
        let server = self.places.get_mut(usize::from(place.0))?.as_mut()?;
        Some((server, devices.get(place)?))
    }

    /// All of them, each with its device's place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Place, &S)> {
        let all = self.places.iter().enumerate();
        all.filter_map(|(place, server)| server.as_ref().map(|server| (Place(place as u8), server)))
    }

    /// Does something with each, and its device.
    pub(crate) fn each(
        &mut self,
        devices: &mut Devices,
        mut act: impl FnMut(Place, &mut S, &mut dyn Device),
    ) {
        for index in 0..self.places.len() {
            let place = Place(index as u8);
            if let Some((server, device)) = self.get(devices, place) {
                act(place, server, device);
            }
        }
    }

    /// Something happened on a device, to its server.
    pub(crate) fn handle(&mut self, env: &mut dyn Env, devices: &mut Devices, place: Place, told: &Told) {
        if let Some((server, device)) = self.get(devices, place) {
            server.handle(env, device, told);
        }
    }

    /// When one of them wants to be polled.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.iter().map(|(_, server)| server.deadline()).fold(None, earliest)
    }

    /// Whether no connection is left on any.
    pub(crate) fn is_drained(&self) -> bool {
        self.iter().all(|(_, server)| server.is_drained())
    }

    /// Takes away those that have nothing left to do, and gives their devices back.
    pub(crate) fn sweep(&mut self, env: &mut dyn Env, devices: &mut Devices) {
        for (index, server) in self.places.iter_mut().enumerate() {
            let place = Place(index as u8);
            if let (Some(gone), Some(device)) =
                (server.take_if(|server| server.is_idle()), devices.get(place))
            {
                gone.free(env, device);
                devices.release(place);
            }
        }
    }

    /// Asserts what always holds; says how many I/O buffers of the shard they have.
    pub(crate) fn check(&self) -> usize {
        self.iter().map(|(_, server)| server.check()).sum()
    }
}

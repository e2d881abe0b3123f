//! Target ports, and who may log in to them.

use crate::target::DeviceKey;
use std::collections::{BTreeMap, BTreeSet};
use stdx::planted::{Bug, planted};
use thiserror::Error;
use wire::srp::PortId;

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    ports: BTreeMap<PortId, TargetPort>,
}

/// A target port: what initiators name when they log in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetPort {
    /// Its name.
    pub id: PortId,
    /// The device behind it.
    pub device: DeviceKey,
    /// Its relative identifier in the device.
    pub relative_id: u16,
    /// Who may log in.
    pub access: Access,
}

/// Which initiator ports may log in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// All.
    Any,
    /// These.
    Only(BTreeSet<PortId>),
}

/// A change that is not possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RegistryError {
    /// There is a port of this name.
    #[error("there is a target port with this identifier already")]
    Exists,
    /// There is none of this name.
    #[error("there is no target port with this identifier")]
    Unknown,
    /// There are as many as there may be.
    #[error("there are too many of these already")]
    TooMany,
}

impl Registry {
    /// Adds a port.
    ///
    /// # Errors
    /// There is one of its name, or there are too many.
    pub fn add_port(&mut self, port: TargetPort) -> Result<(), RegistryError> {
        if self.ports.contains_key(&port.id) {
            return Err(RegistryError::Exists);
        }
        if self.ports.len() >= PORTS_MAX || !port.access.is_sound() {
            return Err(RegistryError::TooMany);
        }
        self.ports.insert(port.id, port);
        Ok(())
    }

    /// Removes a port. Channels that came in by it live on until their device or nexus goes.
    ///
    /// # Errors
    /// There is none.
    pub fn remove_port(&mut self, id: PortId) -> Result<TargetPort, RegistryError> {
        self.ports.remove(&id).ok_or(RegistryError::Unknown)
    }

    /// Says anew who may log in; who has done so already stays.
    ///
    /// # Errors
    /// There is no such port, or there are too many initiators.
    pub fn set_access(&mut self, id: PortId, access: Access) -> Result<(), RegistryError> {
        if !access.is_sound() {
            return Err(RegistryError::TooMany);
        }
        self.ports.get_mut(&id).ok_or(RegistryError::Unknown)?.access = access;
        Ok(())
    }

    /// A port.
    pub fn port(&self, id: PortId) -> Option<&TargetPort> {
        self.ports.get(&id)
    }

    /// All ports, by name.
    pub fn ports(&self) -> impl Iterator<Item = &TargetPort> {
        self.ports.values()
    }
}

impl Access {
    /// Whether an initiator port may log in.
    pub fn admits(&self, initiator: PortId) -> bool {
        match self {
            Self::Any => true,
            Self::Only(initiators) => initiators.contains(&initiator) || planted(Bug::ListIgnored),
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Only(initiators) => initiators.len() <= INITIATORS_MAX,
        }
    }
}

/// Target ports of one server.
const PORTS_MAX: usize = 256;
/// Initiator ports that one target port admits by name.
const INITIATORS_MAX: usize = 1024;

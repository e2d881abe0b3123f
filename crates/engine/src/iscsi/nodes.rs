//! Target nodes and their logical units.

use super::Iscsi;
use crate::Shard;
use crate::nvmf::ListenError;
use crate::volumes::Volumes;
use block::BlockDevice;
use block::volume::Histogram;
use scsi::iscsi::IscsiName;
use scsi::iscsi::login;
use scsi::iscsi::target::{Access, Node, NodeAuthentication, RegistryError};
use scsi::target::{ConfigError, DeviceConfig, DeviceKey, PortConfig, Protocol, UnitConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use stdx::env::{Env, IoError};
use thiserror::Error;

/// A target node to be made.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// TargetName.
    pub name: IscsiName,
    /// TargetAlias; empty for none.
    pub alias: String,
    /// How it is reached, and by whom.
    pub access: Vec<Access>,
    /// What initiators must prove.
    pub authentication: NodeAuthentication,
    /// Commands a session may have under way.
    pub queue_depth: u32,
    /// What is wanted of the negotiation.
    pub limits: login::Limits,
}

/// A logical unit of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lun {
    /// The node.
    pub node: IscsiName,
    /// Its number.
    pub number: u16,
    /// The volume it is served from.
    pub volume: String,
    /// Its medium can be ejected and loaded.
    pub removable: bool,
}

/// Why the target side cannot be changed like this.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum IscsiError {
    /// No volume has that name.
    #[error("no volume has that name")]
    NoVolume,
    /// The registry refuses.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The SCSI target refuses.
    #[error(transparent)]
    Device(#[from] ConfigError),
    /// The file for reservations cannot be used.
    #[error("the file for reservations: {0}")]
    File(IoError),
    /// The file keeps those of another logical unit.
    #[error("the file keeps the reservations of another logical unit")]
    FileInUse,
    /// The file holds something else.
    #[error("the file holds something else than reservations")]
    FileContents,
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        why: ListenError,
    },
}

impl Iscsi {
    /// Makes a node without logical units.
    pub fn add_node(&mut self, env: &mut dyn Env, config: NodeConfig) -> Result<(), IscsiError> {
        if self.server.registry().node(&config.name).is_some() {
            return Err(RegistryError::Exists.into());
        }
        let device_config = DeviceConfig { name: config.name.to_string(), protocol: Protocol::Iscsi };
        let device = self.target.add_device(device_config)?;
        let node = Node {
            name: config.name,
            alias: config.alias,
            device,
            access: config.access,
            authentication: config.authentication,
            queue_depth: config.queue_depth,
            limits: config.limits,
            redirects: BTreeMap::new(),
        };
        let (name, groups) = (node.name.clone(), groups_of(&node.access));
        let made = add_ports(&mut self.target, device, &name, groups.iter())
            .map_err(IscsiError::from)
            .and_then(|()| Ok(self.server.registry_mut().add_node(node)?));
        if made.is_err() {
            self.target.remove_device(env, device)?;
        }
        made
    }

    /// Takes a node away; its sessions end.
    pub fn remove_node(&mut self, env: &mut dyn Env, name: &IscsiName) -> Result<(), IscsiError> {
        let node = self.server.registry_mut().remove_node(name)?;
        self.server.end_sessions(env, &mut self.target, name);
        self.luns.retain(|lun| lun.node != *name);
        Ok(self.target.remove_device(env, node.device)?)
    }

    /// Replaces the ways in which a node is reached. Sessions through ways that are gone end.
    pub fn set_access(&mut self, name: &IscsiName, access: Vec<Access>) -> Result<(), IscsiError> {
        let node = self.server.registry().node(name).ok_or(RegistryError::Unknown)?;
        let (device, before, after) = (node.device, groups_of(&node.access), groups_of(&access));
        self.server.registry_mut().set_access(name, access)?;
        add_ports(&mut self.target, device, name, after.difference(&before))?;
        for tag in before.difference(&after) {
            self.target.remove_port(device, *tag)?;
        }
        Ok(())
    }

    /// Has the latencies of a node's commands counted from now on, from zero; `None` counts none.
    pub fn set_histogram(
        &mut self,
        name: &IscsiName,
        histogram: Option<Histogram>,
    ) -> Result<(), IscsiError> {
        Ok(self.target.set_histogram(self.device(name)?, histogram)?)
    }

    /// The latencies counted of a node, if they are.
    pub fn histogram(&self, name: &IscsiName) -> Result<Option<&Histogram>, IscsiError> {
        Ok(self.target.histogram(self.device(name)?))
    }

    pub(super) fn device(&self, name: &IscsiName) -> Result<DeviceKey, IscsiError> {
        Ok(self.server.registry().node(name).ok_or(RegistryError::Unknown)?.device)
    }

    pub(super) fn add_lun(
        &mut self,
        volumes: &Volumes,
        node: &IscsiName,
        volume: &str,
        mut config: UnitConfig,
    ) -> Result<u16, IscsiError> {
        let device = self.device(node)?;
        let entry = volumes.get(volume).ok_or(IscsiError::NoVolume)?;
        if config.uuid == [0; 16] {
            config.uuid = entry.volume.identity().0;
        }
        let removable = config.removable;
        let number = self.target.add_unit(device, config, entry.volume.clone(), entry.volume.open())?;
        self.luns.push(Lun { node: node.clone(), number, volume: volume.into(), removable });
        self.luns.sort_by_key(|lun| lun.number);
        Ok(number)
    }

    /// Takes a logical unit away; initiators are told. Its volume stays.
    pub fn remove_lun(&mut self, env: &mut dyn Env, node: &IscsiName, number: u16) -> Result<(), IscsiError> {
        let device = self.device(node)?;
        self.target.remove_unit(env, device, number)?;
        self.luns.retain(|lun| lun.node != *node || lun.number != number);
        Ok(())
    }

    /// A volume is gone, or of another size.
    pub(crate) fn volume_changed(&mut self, env: &mut dyn Env, volume: &str, is_gone: bool) {
        let served: Vec<Lun> = self.luns.iter().filter(|lun| lun.volume == volume).cloned().collect();
        for Lun { node, number, .. } in served {
            // What is on the list is there.
            if is_gone {
                let _ = self.remove_lun(env, &node, number);
            } else if let Ok(device) = self.device(&node) {
                let _ = self.target.unit_changed(device, number);
            }
        }
    }
}

impl Shard {
    /// Serves a volume as a logical unit of a node; says which number it got. Without a UUID the volume's identity is told.
    pub fn add_lun(&mut self, node: &IscsiName, volume: &str, config: UnitConfig) -> Result<u16, IscsiError> {
        self.iscsi.add_lun(&self.volumes, node, volume, config)
    }

    /// The same, with persistent reservations kept in a file; `then` hears when that was read and the volume is served.
    pub fn add_kept_lun(
        &mut self,
        env: &mut dyn Env,
        lun: (&IscsiName, &str, UnitConfig),
        path: &Path,
        then: impl FnOnce(Result<u16, IscsiError>) + Send + 'static,
    ) {
        self.iscsi.add_kept_lun(env, &mut self.records, lun, path, Box::new(then));
    }
}

/// A port for each portal group (RFC 7143, section 4.4.1: the SCSI port name of a target).
fn add_ports<'a>(
    target: &mut scsi::target::Target,
    device: DeviceKey,
    name: &IscsiName,
    groups: impl Iterator<Item = &'a u16>,
) -> Result<(), ConfigError> {
    for &tag in groups {
        target.add_port(
            device,
            PortConfig { relative_id: tag, name: format!("{name},t,0x{tag:04x}"), group: 1 },
        )?;
    }
    Ok(())
}

fn groups_of(access: &[Access]) -> BTreeSet<u16> {
    access.iter().map(|access| access.portal_group).collect()
}

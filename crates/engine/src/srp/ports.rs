//! Target ports and their logical units.

use super::Srp;
use crate::Shard;
use crate::volumes::Volumes;
use block::BlockDevice;
use scsi::srp::target::{Access, RegistryError, TargetPort};
use scsi::target::{ConfigError, DeviceConfig, PortConfig, Protocol, UnitConfig};
use stdx::env::Env;
use thiserror::Error;
use wire::srp::PortId;

/// A target port to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SrpPortConfig {
    /// What initiators name (in Linux's terms, `id_ext` and `ioc_guid`).
    pub id: PortId,
    /// Who may log in.
    pub access: Access,
}

/// A logical unit of a target port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SrpLun {
    /// The port.
    pub port: PortId,
    /// Its number.
    pub number: u16,
    /// The volume it is served from.
    pub volume: String,
}

/// Why the target side cannot be changed like this.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SrpError {
    /// No volume has that name.
    #[error("no volume has that name")]
    NoVolume,
    /// The registry refuses.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The SCSI target refuses.
    #[error(transparent)]
    Device(#[from] ConfigError),
}

impl Shard {
    /// The SRP target side.
    pub const fn srp(&self) -> &Srp {
        &self.srp
    }

    /// Makes a target port without logical units.
    pub fn add_srp_port(&mut self, env: &mut dyn Env, config: SrpPortConfig) -> Result<(), SrpError> {
        self.srp.add_port(env, config)?;
        self.srp.spread(&mut self.devices);
        Ok(())
    }

    /// Takes a target port away; its channels end.
    pub fn remove_srp_port(&mut self, env: &mut dyn Env, id: PortId) -> Result<(), SrpError> {
        let port = self.srp.registry.remove_port(id)?;
        self.srp.luns.retain(|lun| lun.port != id);
        self.srp.spread(&mut self.devices);
        Ok(self.srp.target.remove_device(env, port.device)?)
    }

    /// Says anew who may log in to a target port; who has done so already stays.
    pub fn set_srp_access(&mut self, id: PortId, access: Access) -> Result<(), SrpError> {
        self.srp.registry.set_access(id, access)?;
        self.srp.spread(&mut self.devices);
        Ok(())
    }

    /// Serves a volume as a logical unit of a target port; says which number it got. Without a UUID the volume's identity is
    /// told.
    pub fn add_srp_lun(&mut self, id: PortId, volume: &str, config: UnitConfig) -> Result<u16, SrpError> {
        self.srp.add_lun(&self.volumes, id, volume, config)
    }

    /// Takes a logical unit away; initiators are told. Its volume stays.
    pub fn remove_srp_lun(&mut self, env: &mut dyn Env, id: PortId, number: u16) -> Result<(), SrpError> {
        self.srp.remove_lun(env, id, number)
    }
}

impl Srp {
    fn add_port(&mut self, env: &mut dyn Env, config: SrpPortConfig) -> Result<(), SrpError> {
        let SrpPortConfig { id, access } = config;
        if self.registry.port(id).is_some() {
            return Err(RegistryError::Exists.into());
        }
        let name = format!("srp.{id}");
        let device = self.target.add_device(DeviceConfig { name: name.clone(), protocol: Protocol::Srp })?;
        let port = PortConfig { relative_id: RELATIVE_ID, name, group: 1 };
        let port_added = self.target.add_port(device, port).map_err(SrpError::from);
        let made = port_added.and_then(|()| {
            let port = TargetPort { id, device, relative_id: RELATIVE_ID, access };
            Ok(self.registry.add_port(port)?)
        });
        if made.is_err() {
            self.target.remove_device(env, device)?;
        }
        made
    }

    fn add_lun(
        &mut self,
        volumes: &Volumes,
        id: PortId,
        volume: &str,
        mut config: UnitConfig,
    ) -> Result<u16, SrpError> {
        let device = self.registry.port(id).ok_or(RegistryError::Unknown)?.device;
        let entry = volumes.get(volume).ok_or(SrpError::NoVolume)?;
        if config.uuid == [0; 16] {
            config.uuid = entry.volume.identity().0;
        }
        let number = self.target.add_unit(device, config, entry.volume.clone(), entry.volume.open())?;
        self.luns.push(SrpLun { port: id, number, volume: volume.into() });
        self.luns.sort_by_key(|lun| (lun.port, lun.number));
        Ok(number)
    }

    fn remove_lun(&mut self, env: &mut dyn Env, id: PortId, number: u16) -> Result<(), SrpError> {
        let device = self.registry.port(id).ok_or(RegistryError::Unknown)?.device;
        self.target.remove_unit(env, device, number)?;
        self.luns.retain(|lun| lun.port != id || lun.number != number);
        Ok(())
    }

    /// A volume is gone, or of another size.
    pub(crate) fn volume_changed(&mut self, env: &mut dyn Env, volume: &str, is_gone: bool) {
        let served: Vec<SrpLun> = self.luns.iter().filter(|lun| lun.volume == volume).cloned().collect();
        for SrpLun { port, number, .. } in served {
            // What is on the list is there.
            if is_gone {
                let _ = self.remove_lun(env, port, number);
            } else if let Some(port) = self.registry.port(port) {
                let _ = self.target.unit_changed(port.device, number);
            }
        }
    }
}

/// A device of SRP has one port.
const RELATIVE_ID: u16 = 1;

//! A whole target behind the server: one subsystem, one RAM volume.

use super::env::TestEnv;
use super::{World, address};
use ::nvme::target::tcp::Limits;
use ::nvme::target::{NamespaceConfig, Options, Portal, SubsystemConfig, Target, Transport};
use block::BlockDevice;
use block::device::{Geometry, Ram};
use std::rc::Rc;
use wire::nvme::Nqn;

impl World<Target> {
    /// A target with a subsystem of this name, unless it is the discovery subsystem's, and an empty volume of so many
    /// blocks of 512 bytes.
    pub fn nvme(subsystem: &Nqn, blocks: u64, limits: Limits) -> Self {
        let mut env = TestEnv::new(20 << 20);
        let mut target = Target::new(Options::default());
        let subsystem =
            if subsystem.is_discovery() { Nqn::parse(super::host::SUBSYSTEM).unwrap() } else { *subsystem };
        target.create_subsystem(SubsystemConfig::new(subsystem)).unwrap();
        let geometry = Geometry::new(512, blocks).unwrap();
        let device = Rc::new(Ram::new(&mut env, geometry).unwrap());
        let channel = device.open();
        let config = NamespaceConfig { uuid: [9; 16], ..NamespaceConfig::default() };
        target.add_namespace(&subsystem, config, device, channel).unwrap();
        let portal = Portal { transport: Transport::Tcp, address: address() };
        target.add_listener(&subsystem, portal).unwrap();
        Self::over(env, target, limits)
    }
}

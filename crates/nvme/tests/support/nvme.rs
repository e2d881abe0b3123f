//! A whole target behind the server: one subsystem, one RAM volume.

use super::host::{Answer, Form};
use super::{World, address};
use ::nvme::target::tcp::Limits;
use ::nvme::target::{NamespaceConfig, Options, Portal, SubsystemConfig, Target, Transport};
use block::BlockDevice;
use block::device::{Geometry, Ram};
use std::rc::Rc;
use stdx::env::StreamId;
use stdx::testing::TestEnv;
use wire::nvme::Nqn;
use wire::nvme::fabrics::{Property, PropertySet};

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

    /// A stream with an I/O queue of 128 entries, of a controller that is enabled by way of another.
    pub fn enabled_io(&mut self, form: &Form) -> StreamId {
        let (admin, controller) = self.admin(form);
        let enable = PropertySet::command(Property::Configuration, CONFIGURATION, 1);
        let answers = self.exchange(admin, form, &form.capsule(&enable, &[]));
        assert!(matches!(&answers[..], [Answer::Response(completion)] if completion.status().is_success()));
        self.io(form, controller, true)
    }
}

/// CC of an enabled controller: entries of 64 and 16 bytes.
const CONFIGURATION: u64 = 0x0046_0001;

//! A target on a Linux machine, by hand: serves RAM volumes, to whoever comes.
//!
//!     iscsi_target [ADDRESS:PORT] [-n IQN] [-s MIB] [-b BLOCK-SIZE] [-u UNITS] [-c USER:SECRET] [-r]
//!
//! With `-r` the media are removable: START STOP UNIT can eject them.

use block::device::{Geometry, Ram};
use block::{BlockDevice, Identity, Volume};
use reactor::{Options, Reactor};
use scsi::iscsi::IscsiName;
use scsi::iscsi::login::chap::{ChapAccount, ChapAccounts, ChapAlgorithm};
use scsi::iscsi::login::{Limits as LoginLimits, Secret};
use scsi::iscsi::target::{
    Access, AddressPattern, AuthGroup, ChapPolicy, InitiatorGroup, InitiatorPattern, Limits, Node,
    NodeAuthentication, PortalGroup, Server,
};
use scsi::target::{DeviceConfig, DeviceKey, PortConfig, Protocol, Target, UnitConfig};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use stdx::env::Env;
use stdx::time::earliest;

fn main() {
    let mut wishes = Wishes::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).expect("a number");
        match word.as_str() {
            "-s" => wishes.mib = number(),
            "-b" => wishes.block_size = number() as u32,
            "-u" => wishes.units = number() as u8,
            "-r" => wishes.removable = true,
            "-n" => wishes.name = words.next().expect("a name"),
            "-c" => {
                let account = words.next().expect("USER:SECRET");
                let (user, secret) = account.split_once(':').expect("USER:SECRET");
                wishes.account = Some((user.to_owned(), secret.to_owned()));
            }
            address => wishes.address = address.parse().expect("ADDRESS:PORT"),
        }
    }
    serve(&wishes);
}

/// What is to be served.
struct Wishes {
    address: SocketAddr,
    name: String,
    mib: u64,
    block_size: u32,
    units: u8,
    removable: bool,
    account: Option<(String, String)>,
}

impl Default for Wishes {
    fn default() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 3260));
        let name = "iqn.2026-01.io.weft:example".to_owned();
        Self { address, name, mib: 256, block_size: 512, units: 1, removable: false, account: None }
    }
}

fn serve(wishes: &Wishes) {
    let mut env = Reactor::new(Options::default()).expect("a reactor");
    let mut target = Target::default();
    let device = device(&mut env, &mut target, wishes);
    let mut server = Server::new(&mut env, 1 << 32, Limits::default()).expect("memory");
    register(&mut server, device, wishes);
    let address = server.listen(&mut env, wishes.address).expect("an address to listen on");
    println!("{} at {address}", wishes.name);
    let mut events = Vec::new();
    loop {
        events.clear();
        env.poll(&mut events, earliest(server.deadline(), target.deadline()));
        for event in &events {
            server.handle_event(&mut env, &mut target, event);
        }
        server.handle_timeout(&mut env, &mut target);
        server.poll(&mut env, &mut target);
    }
}

/// A device with its volumes and one port.
fn device(env: &mut dyn Env, target: &mut Target, wishes: &Wishes) -> DeviceKey {
    let config = DeviceConfig { name: wishes.name.clone(), protocol: Protocol::Iscsi };
    let device = target.add_device(config).expect("a device");
    let port = PortConfig { relative_id: TAG, name: format!("{},t,0x{TAG:04x}", wishes.name), group: 1 };
    target.add_port(device, port).expect("a port");
    for unit in 0..wishes.units {
        let blocks = (wishes.mib << 20) / u64::from(wishes.block_size);
        let geometry = Geometry::new(wishes.block_size, blocks).expect("a size");
        let ram = Ram::new(env, geometry).expect("memory");
        let uuid = [unit + 1; 16];
        let volume: Rc<dyn BlockDevice> = Rc::new(Volume::new(Rc::new(ram), Identity(uuid)));
        let channel = volume.open();
        let config = UnitConfig { uuid, removable: wishes.removable, ..UnitConfig::default() };
        target.add_unit(device, config, volume, channel).expect("a logical unit");
    }
    device
}

/// Who may come: all, with the account if there is one.
fn register(server: &mut Server, device: DeviceKey, wishes: &Wishes) {
    let registry = server.registry_mut();
    let portals = vec![wishes.address];
    registry.add_portal_group(PortalGroup { tag: TAG, portals, private: false }).expect("a portal group");
    let everyone = InitiatorGroup {
        tag: 1,
        initiators: vec![InitiatorPattern::Any],
        networks: vec![AddressPattern::Any],
    };
    registry.add_initiator_group(everyone).expect("an initiator group");
    let mut authentication = NodeAuthentication::default();
    if let Some((name, secret)) = &wishes.account {
        let secret = Secret::new(secret.as_bytes()).expect("a secret");
        let account = ChapAccount { name: name.clone(), secret, mutual: None };
        let accounts = ChapAccounts {
            accounts: vec![account],
            algorithms: ChapAlgorithm::ALL.to_vec(),
            mutual_required: false,
        };
        registry.add_auth_group(AuthGroup { tag: 1, accounts: Rc::new(accounts) }).expect("accounts");
        authentication = NodeAuthentication { chap: ChapPolicy::Required, mutual: false, group: Some(1) };
    }
    let node = Node {
        name: IscsiName::parse(&wishes.name).expect("an iSCSI name"),
        alias: String::new(),
        device,
        access: vec![Access { portal_group: TAG, initiator_group: 1 }],
        authentication,
        queue_depth: 128,
        limits: LoginLimits::default(),
        redirects: BTreeMap::new(),
    };
    registry.add_node(node).expect("a node");
}

/// The portal group, and its port.
const TAG: u16 = 1;

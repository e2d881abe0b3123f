//! What the options of `weft serve` ask for: volumes, one subsystem and one listener, one target node and one portal.

use super::{devices, srp};
use crate::args::ServeArgs;
use crate::client::resolve;
use crate::error::Failure;
use engine::iscsi::{IscsiError, NodeConfig};
use engine::url::{FileUrl, SizedUrl, VolumeUrl};
use engine::{Encrypted, ListenError, Shard};
use nvme::target::{NamespaceConfig, Portal, SubsystemConfig, Transport};
use reactor::Reactor;
use scsi::iscsi::IscsiName;
use scsi::iscsi::login::Limits;
use scsi::iscsi::target::{
    Access, AddressPattern, InitiatorGroup, InitiatorPattern, NodeAuthentication, PortalGroup,
};
use scsi::target::UnitConfig;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use wire::nvme::Nqn;

/// Makes all of it; says what could not be, where the rest goes on without.
pub(super) fn build(shard: &mut Shard, env: &mut Reactor, args: &ServeArgs) -> Result<Vec<String>, Failure> {
    let nqn = parse_nqn(&args.nqn)?;
    let mut served = Vec::new();
    let urls = volumes(args)?;
    if args.encrypt.is_some() && urls.len() > 1 {
        return Err(Failure::Usage("--encrypt: each volume has a key of its own; serve one volume".into()));
    }
    for (number, url) in urls.into_iter().enumerate() {
        let mut name = open(shard, env, &format!("volume{number}"), &url)?;
        if let Some(file) = &args.encrypt {
            name = encrypt(shard, env, name, file)?;
        }
        let uuid = match &url {
            VolumeUrl::File(file) => super::identifier::of_file(&nqn, &file.path),
            _ => [0; 16],
        };
        served.push(Served { name, url, uuid });
    }
    let mut notes = Vec::new();
    if let Some(address) = args.nvme() {
        notes = subsystem(shard, env, args, nqn, address, &served)?;
    }
    if let Some(address) = args.portal() {
        notes.extend(node(shard, env, args, address, &served)?);
    }
    if let Some(address) = args.srp() {
        notes.extend(srp::serve(shard, env, args, address, &served)?);
        notes.dedup();
    }
    Ok(notes)
}

/// A volume that is served.
pub(super) struct Served {
    pub(super) name: String,
    url: VolumeUrl,
    /// Zero for the volume's own.
    pub(super) uuid: [u8; 16],
}

/// The volumes as namespaces, over streams and, as far as there are devices, over RDMA.
fn subsystem(
    shard: &mut Shard,
    env: &mut Reactor,
    args: &ServeArgs,
    nqn: Nqn,
    address: SocketAddr,
    served: &[Served],
) -> Result<Vec<String>, Failure> {
    let mut config = SubsystemConfig::new(nqn);
    config.allow_any_host = args.host.is_empty();
    shard.target_mut().create_subsystem(config).map_err(|why| refused(&args.nqn, &why))?;
    for host in &args.host {
        shard.target_mut().add_host(&nqn, parse_nqn(host)?).map_err(|why| refused(host, &why))?;
    }
    for Served { name, url, uuid } in served {
        let config = NamespaceConfig { uuid: *uuid, ..NamespaceConfig::default() };
        let serve = shard.add_namespace(&nqn, name, config);
        serve.map_err(|why| refused(&url.to_string(), &why))?;
    }
    let listen = shard.add_listener(env, &nqn, Portal { transport: Transport::Tcp, address });
    let address = listen.map_err(|why| refused("--listen", &why))?.address;
    let mut notes = Vec::new();
    for ip in devices::at(address.ip())? {
        let portal = Portal { transport: Transport::Rdma, address: SocketAddr::new(ip, address.port()) };
        if let Err(why) = shard.add_listener(env, &nqn, portal) {
            notes.push(devices::explain(ip, &why));
        }
    }
    Ok(notes)
}

/// The volumes as logical units.
fn node(
    shard: &mut Shard,
    env: &mut Reactor,
    args: &ServeArgs,
    address: SocketAddr,
    served: &[Served],
) -> Result<Option<String>, Failure> {
    let name = parse_iqn(&args.iqn)?;
    let mut initiators: Vec<_> = args
        .initiator
        .iter()
        .map(|iqn| parse_iqn(iqn).map(InitiatorPattern::Name))
        .collect::<Result<_, _>>()?;
    if initiators.is_empty() {
        initiators.push(InitiatorPattern::Any);
    }
    let note = portal_group(shard, env, address).map_err(|why| refused("--iscsi", &why))?;
    let iscsi = shard.iscsi_mut();
    let group = InitiatorGroup { tag: TAG.into(), initiators, networks: vec![AddressPattern::Any] };
    let registry = iscsi.server_mut().registry_mut();
    registry.add_initiator_group(group).map_err(|why| refused("--initiator", &why))?;
    let config = NodeConfig {
        name: name.clone(),
        alias: String::new(),
        access: vec![Access { portal_group: TAG, initiator_group: TAG.into() }],
        authentication: NodeAuthentication::default(),
        queue_depth: QUEUE_DEPTH,
        limits: Limits::default(),
    };
    iscsi.add_node(env, config).map_err(|why| refused(&args.iqn, &why))?;
    for Served { name: volume, url, uuid } in served {
        let config = UnitConfig { uuid: *uuid, ..UnitConfig::default() };
        shard.add_lun(&name, volume, config).map_err(|why| refused(&url.to_string(), &why))?;
    }
    Ok(note)
}

/// Initiators come in by streams, and by RDMA if there can be a device at the address; says why not.
fn portal_group(
    shard: &mut Shard,
    env: &mut Reactor,
    address: SocketAddr,
) -> Result<Option<String>, IscsiError> {
    let group = PortalGroup::new(TAG, vec![address]);
    let with_rdma = PortalGroup { rdma: vec![address], ..group.clone() };
    match shard.add_portal_group(env, with_rdma, true) {
        Err(IscsiError::Listen { why, .. }) if !matches!(why, ListenError::Streams(_)) => {
            shard.add_portal_group(env, group, true)?;
            Ok(Some(format!("not over iSER at {address}: {why}")))
        }
        listened => listened.map(|()| None),
    }
}

fn refused(what: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::Usage(format!("{what}: {why}"))
}

/// The volumes that the options name, in the order of the options' kinds.
fn volumes(args: &ServeArgs) -> Result<Vec<VolumeUrl>, Failure> {
    let ram = args.ram.iter().map(|&size| Ok(VolumeUrl::Mem(SizedUrl::of(size))));
    let files = args.file.iter().map(|file| match file.contains("://") {
        // It may be another kind of URL, and hold a secret.
        true => file.parse().map_err(|why| Failure::Usage(format!("--file: {why}"))),
        false => Ok(VolumeUrl::File(FileUrl::at(file))),
    });
    let mut all: Vec<_> = ram.chain(files).collect::<Result<_, Failure>>()?;
    all.extend(args.volume.iter().cloned());
    if all.is_empty() {
        all.push(VolumeUrl::Mem(SizedUrl::of(DEFAULT_SIZE)));
    }
    Ok(all)
}

/// Opens a volume, waiting for a remote one; says its name on the shard.
fn open(shard: &mut Shard, env: &mut Reactor, name: &str, url: &VolumeUrl) -> Result<String, Failure> {
    let failed = |why| Failure::Open { url: url.to_string(), why };
    let opening = shard.open(env, name, &resolve(url)?).map_err(failed)?;
    loop {
        if let Some(volume) = shard.opened_name(&opening) {
            return volume.map_err(failed);
        }
        shard.turn(env);
        if crate::signals::interrupted() {
            return Err(Failure::Interrupted);
        }
    }
}

/// Makes a volume that keeps another's blocks encrypted, and waits for it; says its name on the shard.
fn encrypt(shard: &mut Shard, env: &mut Reactor, base: String, file: &Path) -> Result<String, Failure> {
    let name = format!("{base}-encrypted");
    let volume = Encrypted { name: name.clone(), base, identity: None };
    let (sender, receiver) = mpsc::channel();
    shard.add_volume_with_key_file(env, volume, file, move |made| {
        // Whoever waits for it is gone only with the process.
        let _ = sender.send(made);
    });
    loop {
        if let Ok(made) = receiver.try_recv() {
            return made.map(|_| name).map_err(|why| refused(&file.display().to_string(), &why));
        }
        shard.turn(env);
        if crate::signals::interrupted() {
            return Err(Failure::Interrupted);
        }
    }
}

fn parse_nqn(text: &str) -> Result<Nqn, Failure> {
    text.parse().map_err(|why| Failure::Usage(format!("{text:?} is no NQN: {why}")))
}

fn parse_iqn(text: &str) -> Result<IscsiName, Failure> {
    IscsiName::parse(text).map_err(|why| Failure::Usage(format!("{text:?} is no iSCSI name: {why}")))
}

/// The one portal group and the one initiator group.
const TAG: u16 = 1;
/// Commands a session may have under way.
const QUEUE_DEPTH: u32 = 128;
/// What is served if nothing is said.
const DEFAULT_SIZE: u64 = 1 << 30;

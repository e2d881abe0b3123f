//! What the options of `weft serve` ask for: volumes, one subsystem, one listener.

use crate::args::ServeArgs;
use crate::client::resolve;
use crate::error::Failure;
use engine::Shard;
use engine::url::{DEFAULT_BLOCK_SIZE, FileUrl, VolumeUrl};
use nvme::target::{NamespaceConfig, SubsystemConfig};
use reactor::Reactor;
use wire::nvme::Nqn;

/// Makes all of it.
pub(super) fn build(shard: &mut Shard, env: &mut Reactor, args: &ServeArgs) -> Result<(), Failure> {
    let nqn = parse_nqn(&args.nqn)?;
    let refused = |what: &str, why: &dyn std::fmt::Display| Failure::Usage(format!("{what}: {why}"));
    let mut config = SubsystemConfig::new(nqn);
    config.allow_any_host = args.host.is_empty();
    shard.target_mut().create_subsystem(config).map_err(|why| refused(&args.nqn, &why))?;
    for host in &args.host {
        shard.target_mut().add_host(&nqn, parse_nqn(host)?).map_err(|why| refused(host, &why))?;
    }
    for (number, url) in volumes(args)?.iter().enumerate() {
        let volume = open(shard, env, &format!("volume{number}"), url)?;
        let mut namespace = NamespaceConfig::default();
        if let VolumeUrl::File(file) = url {
            namespace.uuid = super::identifier::of_file(&nqn, &file.path);
        }
        let serve = shard.add_namespace(&nqn, &volume, namespace);
        serve.map_err(|why| refused(&url.to_string(), &why))?;
    }
    let listen = shard.add_listener(env, &nqn, args.listen);
    listen.map_err(|why| refused("--listen", &why))?;
    Ok(())
}

/// The volumes that the options name, in the order of the options' kinds.
fn volumes(args: &ServeArgs) -> Result<Vec<VolumeUrl>, Failure> {
    let ram = args.ram.iter().map(|&size| Ok(VolumeUrl::Mem { size, block_size: DEFAULT_BLOCK_SIZE }));
    let files = args.file.iter().map(|file| match file.contains("://") {
        true => file.parse().map_err(|why| Failure::Usage(format!("--file {file}: {why}"))),
        false => Ok(VolumeUrl::File(FileUrl::at(file))),
    });
    let mut all: Vec<_> = ram.chain(files).collect::<Result<_, Failure>>()?;
    all.extend(args.volume.iter().cloned());
    if all.is_empty() {
        all.push(VolumeUrl::Mem { size: DEFAULT_SIZE, block_size: DEFAULT_BLOCK_SIZE });
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

fn parse_nqn(text: &str) -> Result<Nqn, Failure> {
    text.parse().map_err(|why| Failure::Usage(format!("{text:?} is no NQN: {why}")))
}

/// What is served if nothing is said.
const DEFAULT_SIZE: u64 = 1 << 30;

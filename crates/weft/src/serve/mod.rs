//! `weft serve`: volumes on the network until told to stop.

mod banner;
mod devices;
mod identifier;
mod setup;
mod srp;

use crate::args::ServeArgs;
use crate::control_plane;
use crate::error::Failure;
use crate::output::Style;
use crate::signals;
use control::methods::log::LogState;
use engine::{Limits, Shard};
use std::path::PathBuf;
use std::sync::Arc;

/// Runs the command.
pub fn run(style: &Style, args: &ServeArgs, log: Arc<LogState>) -> Result<(), Failure> {
    if let Some(cpu) = args.cpu {
        reactor::pin(cpu).map_err(Failure::Start)?;
    }
    let limits = Limits::default();
    let mut env = crate::client::environment(limits)?;
    let mut shard = Shard::new(&mut env, limits).map_err(Failure::Memory)?;
    crate::rdma::device::tell_packets(&mut shard);
    let socket = args.rpc_socket.clone().unwrap_or_else(|| default_socket().display().to_string());
    let control = control_plane::start(&mut shard, &socket, log)?;
    let notes = match &args.config {
        Some(file) => control.load(&mut shard, &mut env, file).map(|()| Vec::new())?,
        None => setup::build(&mut shard, &mut env, args)?,
    };
    let handle = shard.handle();
    signals::on_first(move || {
        tracing::info!("draining; a second signal ends at once");
        // A shard that takes no call is ending already.
        let _ = handle.call(Box::new(|shard, env| shard.drain(env)));
    })
    .map_err(Failure::Start)?;
    // A signal that came before anybody waited for one has been noted all the same.
    if signals::interrupted() {
        return Err(Failure::Interrupted);
    }
    banner::print(style, &shard, &socket, &notes);
    while !shard.is_drained() {
        shard.turn(&mut env);
    }
    Ok(())
}

/// Where JSON-RPC is answered if nothing is said: a place that belongs to the user alone.
pub fn default_socket() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_dir());
    runtime.unwrap_or_else(std::env::temp_dir).join("weft.sock")
}

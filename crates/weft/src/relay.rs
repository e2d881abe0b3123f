//! `weft relay`: connections of programs under `weft run`, carried to other hosts.

use crate::args::RelayArgs;
use crate::error::Failure;
use crate::output::Style;
use crate::signals;
use relay::{Key, Options, Relay};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Carries until a signal comes.
pub fn run(style: &Style, args: &RelayArgs) -> Result<(), Failure> {
    let key = key(args)?;
    let user = fs::metadata("/proc/self").map_err(Failure::Start)?.uid();
    let options = Options { addresses: args.addresses.clone(), key, user };
    let mut relay = Relay::start(options).map_err(Failure::Relay)?;
    let stopper = relay.stopper();
    signals::on_first(move || stopper.ring()).map_err(Failure::Start)?;
    if style.json {
        println!("{}", serde_json::json!({ "relay": args.addresses }));
    } else {
        let addresses: Vec<String> = args.addresses.iter().map(ToString::to_string).collect();
        println!("carrying connections of {}; Ctrl-C ends", addresses.join(", "));
    }
    relay.run(signals::interrupted);
    Ok(())
}

/// The key, from a file that is its owner's alone.
fn key(args: &RelayArgs) -> Result<Key, Failure> {
    let path = &args.key;
    let file = |why| Failure::File { path: path.clone(), why };
    let config = |why: String| Failure::Config { path: path.clone(), why };
    let bytes = fs::read(path).map_err(file)?;
    if fs::metadata(path).map_err(file)?.mode() & 0o077 != 0 {
        return Err(config("others can read it; `chmod 600` it".into()));
    }
    Key::new(&bytes).map_err(|why| config(why.to_string()))
}

//! `weft rpc`: one call to a running daemon. Which methods there are, and with which parameters, the method table says.

use crate::args::RpcArgs;
use crate::error::Failure;
use crate::output::{Style, say};
use crate::serve::default_socket;
use clap::{ArgMatches, Command};
use control::Table;
use control::client::{CallError, Client};
use control::fabric::{Fabric, table};
use serde_json::{Map, Value};
use std::path::Path;
use std::time::Duration;

/// Runs the command.
pub fn run(style: &Style, args: &RpcArgs) -> Result<(), Failure> {
    let table = table();
    let Some((method, params)) = parse(&table, &args.call)? else { return Ok(()) };
    let socket = args.socket.clone().unwrap_or_else(|| default_socket().display().to_string());
    let result = call(&socket, &method, params)?;
    let text =
        if style.json { serde_json::to_string(&result) } else { serde_json::to_string_pretty(&result) };
    say!("{}", text.expect("a value that was parsed"));
    Ok(())
}

/// A method's name and its parameters.
type MethodCall = (String, Map<String, Value>);

/// The method and its parameters: options, one for each, or one JSON object. What is neither ends the process with a help.
fn parse(table: &Table<Fabric>, words: &[String]) -> Result<Option<MethodCall>, Failure> {
    if let [method, object] = words
        && object.starts_with('{')
        && table.get(method).is_some()
    {
        let params = serde_json::from_str(object);
        let params = params.map_err(|why| Failure::Usage(format!("{method}: not a JSON object: {why}")))?;
        return Ok(Some((method.clone(), params)));
    }
    let command = Command::new("weft rpc")
        .about("Calls a running daemon")
        .no_binary_name(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_version_flag(true)
        .subcommands(control::cli::subcommands(table));
    let matches = command.get_matches_from(words);
    let call = |(method, matches): (&str, &ArgMatches)| {
        (method.to_owned(), control::cli::params(table, method, matches))
    };
    Ok(matches.subcommand().map(call))
}

fn call(socket: &str, method: &str, params: Map<String, Value>) -> Result<Value, Failure> {
    let unreachable = |why: std::io::Error| {
        Failure::Rpc(format!("{socket}: {why}; is `weft serve` running, and does it use this socket (-s)?"))
    };
    let client =
        if is_tcp(socket) { Client::tcp(socket, TIMEOUT) } else { Client::unix(Path::new(socket), TIMEOUT) };
    client.map_err(unreachable)?.call(method, params).map_err(|error| match error {
        CallError::Io(why) => unreachable(why),
        CallError::NoResponse | CallError::Refused(_) => Failure::Rpc(format!("{method}: {error}")),
    })
}

/// True for ADDR:PORT, false for a path.
pub fn is_tcp(socket: &str) -> bool {
    !socket.contains('/') && socket.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// Longer than any call takes but attaching a controller that is not there.
const TIMEOUT: Duration = Duration::from_secs(60);

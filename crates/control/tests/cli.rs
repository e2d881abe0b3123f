//! Command-line calls made from the table: each kind of field, and objects within parameters.

use clap::Command;
use control::{Method, Table, Target, cli};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

struct Nothing;

impl Target for Nothing {
    type Access<'a> = ();
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code)]
struct Params {
    /// The name.
    nqn: String,
    /// Where.
    listen_address: Address,
    count: Option<i64>,
    flag: Option<bool>,
    names: Option<Vec<String>>,
    sizes: Option<Vec<u32>>,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code)]
struct Address {
    traddr: String,
    trsvcid: Option<String>,
}

fn parse(args: &[&str]) -> Result<Value, clap::Error> {
    let table = Table::<Nothing>::new(vec![Method::local("call", "Calls.", |_: Params| Ok(true))]);
    let command = Command::new("rpc").subcommand_required(true).subcommands(cli::subcommands(&table));
    let matches = command.try_get_matches_from([&["rpc", "call"], args].concat())?;
    let (name, matches) = matches.subcommand().expect("required");
    Ok(Value::Object(cli::params(&table, name, matches)))
}

#[test]
fn every_kind_of_field_has_an_option() {
    let all =
        ["--nqn", "n", "--traddr", "::1", "--trsvcid", "4420", "--count", "-3", "--flag", "--names", "a,b"];
    let params = parse(&[&all[..], &["--sizes", "1", "--sizes", "2"]].concat()).expect("all is well");
    let expected = json!({
        "nqn": "n", "listen_address": {"traddr": "::1", "trsvcid": "4420"}, "count": -3, "flag": true,
        "names": ["a", "b"], "sizes": [1, 2],
    });
    assert_eq!(params, expected);
}

#[test]
fn what_is_not_given_is_not_sent_and_what_is_required_is_asked_for() {
    let params =
        parse(&["--nqn", "n", "--traddr", "::1", "--flag", "false"]).expect("the required ones are there");
    assert_eq!(params, json!({"nqn": "n", "listen_address": {"traddr": "::1"}, "flag": false}));
    assert!(parse(&["--nqn", "n"]).is_err(), "an address is required");
    assert!(parse(&["--nqn", "n", "--traddr", "::1", "--count", "x"]).is_err());
}

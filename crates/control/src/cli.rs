//! The method table as command-line sub-commands: `weft rpc METHOD --field VALUE ...`.
//!
//! A field of an object within the parameters is given like one of the parameters themselves (`--traddr`, not
//! `--listen-address '{"traddr": ...}'`), as SPDK's own tool does it.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Map, Value};

use crate::fields::{Field, Kind, fields, generator};
use crate::method::Target;
use crate::table::Table;

/// One sub-command a method, each with an option a field.
pub fn subcommands<T: Target>(table: &Table<T>) -> Vec<Command> {
    let command = |method: &crate::method::Method<T>| {
        let mut args = Vec::new();
        arguments(&fields(&method.params_schema(&mut generator())), true, &mut args);
        Command::new(method.name).about(method.summary).args(args)
    };
    table.methods().iter().map(command).collect()
}

/// The parameters that such a sub-command was given.
pub fn params<T: Target>(table: &Table<T>, method: &str, matches: &ArgMatches) -> Map<String, Value> {
    let Some(method) = table.get(method) else { return Map::new() };
    object(&fields(&method.params_schema(&mut generator())), matches)
}

fn arguments(fields: &[Field], required: bool, args: &mut Vec<Arg>) {
    for field in fields {
        let required = required && field.required;
        match &field.kind {
            Kind::Object(inner) => arguments(inner, required, args),
            Kind::Constant(_) => {}
            kind => args.push(argument(field, kind).required(required)),
        }
    }
}

fn argument(field: &Field, kind: &Kind) -> Arg {
    let dashed = field.name.replace('_', "-");
    let arg = Arg::new(field.name.clone()).long(dashed.clone()).help(field.doc.clone());
    let arg = if dashed == field.name { arg } else { arg.alias(field.name.clone()) };
    match kind {
        Kind::Boolean => arg
            .num_args(0..=1)
            .default_missing_value("true")
            .value_parser(value_parser!(bool))
            .value_name("BOOL"),
        Kind::Integer => arg.value_parser(integer).value_name("N").allow_negative_numbers(true),
        Kind::Number => arg.value_parser(value_parser!(f64)).value_name("N").allow_negative_numbers(true),
        Kind::Choice(choices) => arg.value_parser(PossibleValuesParser::new(choices)),
        Kind::List(_) => arg.action(ArgAction::Append).value_delimiter(',').value_name("LIST"),
        Kind::Any => arg.value_parser(json).value_name("JSON"),
        Kind::Text | Kind::Object(_) | Kind::Constant(_) => arg.value_name("TEXT"),
    }
}

fn object(fields: &[Field], matches: &ArgMatches) -> Map<String, Value> {
    let given = fields.iter().filter_map(|field| Some((field.name.clone(), value(field, matches)?)));
    given.collect()
}

fn value(field: &Field, matches: &ArgMatches) -> Option<Value> {
    let name = field.name.as_str();
    match &field.kind {
        Kind::Boolean => matches.get_one::<bool>(name).map(|value| Value::from(*value)),
        Kind::Integer | Kind::Any => matches.get_one::<Value>(name).cloned(),
        Kind::Number => matches.get_one::<f64>(name).map(|value| Value::from(*value)),
        Kind::Text | Kind::Choice(_) => {
            matches.get_one::<String>(name).map(|value| Value::from(value.as_str()))
        }
        Kind::List(kind) => {
            let texts = matches.get_many::<String>(name)?;
            Some(texts.map(|text| element(kind, text)).collect())
        }
        Kind::Object(inner) => {
            let inner = object(inner, matches);
            (!inner.is_empty()).then_some(Value::Object(inner))
        }
        Kind::Constant(_) => None,
    }
}

/// An element of a list: what is no text is read as JSON, and left to the server to refuse if it is none.
fn element(kind: &Kind, text: &str) -> Value {
    match kind {
        Kind::Text | Kind::Choice(_) => Value::from(text),
        _ => json(text).unwrap_or_else(|_| Value::from(text)),
    }
}

fn integer(text: &str) -> Result<Value, std::num::ParseIntError> {
    if text.starts_with('-') {
        text.parse::<i64>().map(Value::from)
    } else {
        text.parse::<u64>().map(Value::from)
    }
}

fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

//! The method table as documentation: a page for people (`docs/rpc.md`) and an OpenRPC document for programs.

use std::fmt::{self, Write};

use serde_json::{Value, json};

use crate::fields::{Field, Kind, fields, generator};
use crate::method::{Method, Target};
use crate::table::Table;

/// The page for people, in Markdown.
pub fn markdown<T: Target>(table: &Table<T>) -> String {
    let mut page = String::from(PREFACE);
    for method in table.methods() {
        let written = section(&mut page, method);
        written.expect("writing to a string does not fail");
    }
    page
}

/// The OpenRPC 1.3 document.
pub fn openrpc<T: Target>(table: &Table<T>) -> Value {
    let method = |method: &Method<T>| {
        let schema = method.params_schema(&mut generator());
        let required: Vec<_> = fields(&schema).into_iter().map(|field| field.required).collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        let params: Vec<_> = properties.into_iter().flatten().zip(required).collect();
        let params: Vec<_> = params
            .into_iter()
            .map(|((name, schema), required)| json!({ "name": name, "required": required, "schema": schema }))
            .collect();
        json!({
            "name": method.name,
            "summary": method.summary,
            "paramStructure": "by-name",
            "params": params,
            "result": { "name": "result", "schema": method.result_schema(&mut generator()) },
        })
    };
    json!({
        "openrpc": "1.3.2",
        "info": { "title": "Weft control", "version": env!("CARGO_PKG_VERSION") },
        "methods": table.methods().iter().map(method).collect::<Vec<_>>(),
    })
}

fn section<T: Target>(page: &mut String, method: &Method<T>) -> fmt::Result {
    writeln!(page, "\n## {}\n\n{}", method.name, method.summary)?;
    let params = fields(&method.params_schema(&mut generator()));
    if params.is_empty() {
        writeln!(page, "\nNo parameters.")?;
    } else {
        writeln!(page, "\n| parameter | takes | meaning |\n|---|---|---|")?;
        rows(page, "", &params)?;
    }
    let result = method.result_schema(&mut generator());
    let (what, members) = result_of(&result);
    writeln!(page, "\nResult: {what}.")?;
    if !members.is_empty() {
        writeln!(page, "\n| member | type | meaning |\n|---|---|---|")?;
        rows(page, "", &members)?;
    }
    Ok(())
}

fn rows(page: &mut String, prefix: &str, fields: &[Field]) -> fmt::Result {
    for field in fields {
        let name = format!("{prefix}{}", field.name);
        let optional = if field.required { "" } else { ", optional" };
        writeln!(page, "| `{name}` | {}{optional} | {} |", takes(&field.kind), field.doc)?;
        match &field.kind {
            Kind::Object(inner) => rows(page, &format!("{name}."), inner)?,
            Kind::List(kind) => {
                if let Kind::Object(inner) = &**kind {
                    rows(page, &format!("{name}[]."), inner)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn takes(kind: &Kind) -> String {
    match kind {
        Kind::Boolean => "boolean".to_owned(),
        Kind::Integer => "integer".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Choice(choices) => format!("`{}`", choices.join("`, `")),
        Kind::Constant(value) => format!("only `{value}`"),
        Kind::List(kind) => format!("list of {}", takes(kind)),
        Kind::Object(_) => "object".to_owned(),
        Kind::Any => "any JSON".to_owned(),
    }
}

/// What a result is in a word, and its members if it is an object or a list of objects.
fn result_of(schema: &schemars::Schema) -> (String, Vec<Field>) {
    let members = fields(schema);
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => {
            let items = schema.get("items").cloned().unwrap_or_default();
            let items = schemars::Schema::try_from(items).unwrap_or_default();
            let (what, members) = result_of(&items);
            (format!("a list, each {what}"), members)
        }
        Some("object") => ("an object".to_owned(), members),
        Some("boolean") => ("`true`".to_owned(), members),
        Some("string") => ("a text".to_owned(), members),
        Some("integer") => ("an integer".to_owned(), members),
        _ => ("JSON".to_owned(), members),
    }
}

const PREFACE: &str = "\
# JSON-RPC methods

Made from the method table; `WEFT_UPDATE=1 cargo test -p control --test docs` writes it anew.

JSON-RPC 2.0 over a Unix socket or a TCP port, in SPDK's dialect: objects back to back, without framing; batches as
arrays; parameters by name, unknown ones refused. SPDK's own client works: `python3 -m spdk.spdk_rpc -s SOCKET METHOD ...`.
So does Weft's: `weft rpc METHOD --parameter VALUE ...`.

An error's code is one of JSON-RPC's (-32700 no JSON, -32600 no request, -32601 no such method, -32602 parameters that
do not fit, -32603 the server's fault) or an errno, negated (-17 exists, -19 no such volume, -22 makes no sense, ...).
";

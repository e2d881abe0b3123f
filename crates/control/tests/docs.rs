//! `docs/rpc.md` is the page that the method table makes.

use std::path::Path;

use control::{cli, docs, fabric};

#[test]
fn the_page_is_that_of_the_table() {
    let table = fabric::table();
    let page = docs::markdown(&table);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rpc.md");
    if std::env::var_os("WEFT_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder to write to");
        std::fs::write(&path, &page).expect("a page to write");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/rpc.md is out of date: run WEFT_UPDATE=1 cargo test -p control --test docs"
    );
}

#[test]
fn every_method_and_every_parameter_is_described() {
    let table = fabric::table();
    for method in table.methods() {
        assert!(method.summary.ends_with('.'), "{}", method.name);
        let params = method.params_schema(&mut control::fields::generator());
        for field in control::fields::fields(&params) {
            assert!(!field.doc.is_empty(), "{}: {}", method.name, field.name);
        }
    }
    let document = docs::openrpc(&table);
    assert_eq!(document["methods"].as_array().map(Vec::len), Some(table.methods().len()));
}

#[test]
fn every_method_is_a_sub_command() {
    let table = fabric::table();
    let command = clap::Command::new("rpc").subcommands(cli::subcommands(&table));
    command.debug_assert();
}

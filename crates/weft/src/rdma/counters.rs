//! A device's counters, by name.

use crate::output::{Style, Table, say};
use rdma::Counters;
use serde_json::{Map, Value};

/// Prints every counter.
pub fn print(style: &Style, counters: &Counters) {
    if style.json {
        let all: Map<String, Value> =
            counters.all().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
        say!("{}", serde_json::json!({ "counters": all }));
        return;
    }
    let mut table = Table::new(["counter", ">count"]);
    for (name, count) in counters.all() {
        table.row([name.to_owned(), count.to_string()]);
    }
    say!("{}", table.render(style));
}

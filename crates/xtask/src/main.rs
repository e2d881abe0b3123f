//! What keeps the house in order: tidy, ci, interop, bench.

fn main() {}

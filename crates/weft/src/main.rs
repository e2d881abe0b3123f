//! Weft: volumes served and used over the network, without kernel modules or root.

fn main() {}

//! The volume contract, the devices that implement it, and the suite that every device passes.

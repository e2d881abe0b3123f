//! SRP (T10 SRP, revision 16a; immediate data as SRP-2 has it), over `verbs` alone.

pub mod initiator;
pub mod target;

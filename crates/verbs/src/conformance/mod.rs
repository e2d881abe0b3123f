//! One suite that every provider passes: two ends, and what each may rely on.
//!
//! [`run`] drives a [`Setting`] by what the contract says and nothing else. It panics where a promise is broken; it does not
//! measure, and it injects no fault.

mod connections;
mod datagrams;
mod groups;
mod management;
mod memory;
mod messages;
mod pair;
mod queues;
mod trouble;

use crate::Device;
use core::net::IpAddr;
use stdx::env::Env;
use stdx::mem::Kind;

/// Two ends that reach each other, and the world they live in. Both may be one device.
pub trait Setting {
    /// The device at an end (0 or 1), and its environment.
    fn end(&mut self, end: usize) -> (&mut dyn Device, &mut dyn Env);

    /// The kind of memory that is registered: shared, or published for who copies from where it lies.
    fn memory_kind(&self) -> Kind {
        Kind::Shared
    }

    /// The address of an end.
    fn address(&self, end: usize) -> IpAddr;

    /// Hands events over, calls [`Provider::turn`](crate::Provider::turn) at both ends, and lets time pass until something is
    /// due.
    fn turn(&mut self);
}

/// A check of one promise.
pub type Check = fn(&mut dyn Setting);

/// Every check, by name.
pub const CHECKS: &[(&str, Check)] = &[
    ("messages of all lengths arrive", messages::of_all_lengths),
    ("messages arrive in order, and complete in order", messages::in_order),
    ("immediate data arrives", messages::with_immediate_data),
    ("lists are gathered and scattered", messages::gathered_and_scattered),
    ("inline data is taken at once", messages::inline),
    ("memory of one's own needs no key", messages::of_own_memory),
    ("unsignaled sends do not complete", messages::unsignaled),
    ("unreliable connections carry messages", messages::unreliable),
    ("writes place their bytes and no others", memory::written),
    ("reads fetch their bytes", memory::read),
    ("writes with immediate data complete a receive", memory::written_with_immediate),
    ("atomics change eight bytes", memory::atomics),
    ("rights and bounds hold", memory::rights),
    ("windows open what they are bound to", memory::windows),
    ("regions live again by work requests", memory::registered_by_work),
    ("a peer closes a region", memory::invalidated_by_peer),
    ("full queues hand back", queues::full),
    ("what cannot be done is handed back", queues::refused),
    ("states follow each other as they should", queues::states),
    ("shared receives are shared, and run low with an event", queues::shared),
    ("armed queues tell once", queues::armed),
    ("solicited completions are told alone", queues::solicited),
    ("queues drain and resume", queues::drained),
    ("what is used is not destroyed", queues::destroyed),
    ("datagrams arrive with their origin", datagrams::arrive),
    ("datagrams without the key are dropped", datagrams::wrong_key),
    ("datagrams are never longer than a packet", datagrams::too_long),
    ("members of a group receive what is sent to it", groups::members),
    ("groups have datagram queue pairs as members, and group addresses", groups::refused),
    ("a send waits for a receive", trouble::late_receive),
    ("a send does not wait for ever", trouble::no_receive),
    ("errors flush both queues", trouble::flushed),
    ("a receive that is too short fails both", trouble::short_receive),
    ("lists that name wrong memory fail", trouble::wrong_list),
    ("no peer, no completion but an error", trouble::no_peer),
    ("connections are made and ended", connections::made_and_ended),
    ("connections are refused", connections::refused),
    ("nobody listens", connections::nobody),
    ("depths are negotiated", connections::negotiated),
    ("datagram services are found", connections::resolved),
    ("private data has its limits", connections::private_data),
    ("private data of services' requests is all there is", connections::private_data_of_services),
    ("who asks for management is answered", management::answered),
    ("private data of SDP's requests is all there is", connections::private_data_of_sdp),
];

/// Runs every check, each in a setting of its own.
pub fn run(mut make: impl FnMut() -> Box<dyn Setting>) {
    for (name, check) in CHECKS {
        let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| check(&mut *make())));
        assert!(outcome.is_ok(), "{name}");
    }
}

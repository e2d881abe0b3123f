//! The RDMA contract: what programs ask of a provider, and what they may rely on.
//!
//! What it is: protection domains, memory regions and windows, completion queues, shared receive queues and queue pairs as
//! ids; work requests that are posted and completions that are polled ([`Provider`]); connections between queue pairs
//! ([`Connections`]); datagrams of management ([`Management`]). [`parts`] holds what every provider needs and none should write again, [`loopback`] a provider within
//! one shard, `conformance` (with the feature `testing`) the suite that every provider passes.
//!
//! [`endpoint`] is one end of a protocol of requests and responses, among others on its shard; [`station`] is for programs that
//! do nothing but use one device.
//!
//! What it is not: it sees no packet and knows no network.
//!
//! Invariants: nothing is called back; what is posted completes exactly once, in the order of its queue; what is refused is
//! handed back; nothing is allocated for a work request.
//!
//! Sections cited are those of the InfiniBand Architecture, volume 1, whose chapter 11 defines the verbs.

#![forbid(unsafe_code)]

mod completion;
#[cfg(feature = "testing")]
pub mod conformance;
mod connection;
pub mod endpoint;
mod error;
mod event;
mod ids;
mod limits;
pub mod loopback;
mod management;
mod memory;
pub mod parts;
mod provider;
mod queue_pair;
pub mod station;
mod work;

pub use completion::{Completion, CompletionKind, Origin, Status};
pub use connection::{
    Accept, Connect, ConnectionEvent, ConnectionId, ConnectionWhat, Connections, ListenerId, Parameters,
    PortSpace, PrivateData, PrivateDataTooLong, Rejection,
};
pub use error::{AttachError, ConnectError, CreateError, DestroyError, ModifyError, PostError, Rejected};
pub use event::{Event, What};
pub use ids::{CqId, Key, Object, PdId, QpId, SrqId};
pub use limits::Limits;
pub use management::{AgentError, AgentId, Management, ManagementDatagram, Role};
pub use memory::{Access, Registered, Registration, Sge, WindowKind};
pub use provider::{Device, Notify, Provider, ReceiveQueue};
pub use queue_pair::{Mtu, Peer, QpInfo, QpInit, QpState, Receives, Transition, Transport};
pub use work::{Data, Destination, MULTICAST_QPN, ReceiveRequest, Remote, SendRequest, Work};

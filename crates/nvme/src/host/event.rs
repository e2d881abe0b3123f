//! What a host tells its owner.

use super::rdma;
use super::tcp::QueueEnd;
use core::fmt;
use stdx::env::IoError;
use stdx::mem::OutOfMemory;
use thiserror::Error;
use wire::nvme::Status;

/// Something happened to a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostEvent {
    /// The controller is ready for the first time; its namespaces have been told.
    Connected,
    /// There is a namespace of this identifier.
    NamespaceAdded(u32),
    /// A namespace is gone; its requests complete as gone.
    NamespaceRemoved(u32),
    /// A namespace has another size.
    NamespaceResized {
        /// Namespace identifier.
        namespace_id: u32,
        /// The new size in blocks.
        blocks: u64,
    },
    /// The discovery log is another one.
    DiscoveryLogChanged,
    /// The connection is lost; requests wait while it is made anew.
    ConnectionLost(Failure),
    /// It was made anew; requests go on.
    Reconnected,
    /// It is over for good; requests complete as gone.
    Failed(Failure),
    /// A command given to [`Host::admin`](super::Host::admin) is done. The memory it had is the giver's again.
    AdminDone {
        /// The giver's tag.
        tag: u64,
        /// How it went; [`Status::ABORTED_BY_HOST`] if the connection was lost.
        status: Status,
        /// Dwords 0 and 1 of the completion.
        result: u64,
    },
}

/// Why there is no connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Failure {
    /// A queue ended, or did not come to be.
    #[error("{0}")]
    Queue(#[from] QueueEnd),
    /// A queue over RDMA ended, or did not come to be.
    #[error("{0}")]
    Rdma(#[from] rdma::QueueEnd),
    /// The controller refused a step of the way up.
    #[error("the controller refused {step}: {name} ({status})", name = status_name(*step, *status))]
    Refused {
        /// The step.
        step: Step,
        /// How it answered.
        status: Status,
    },
    /// The way up took too long.
    #[error("the controller did not answer in time ({0})")]
    ConnectTimedOut(Step),
    /// A command got no answer in time.
    #[error("a command got no answer in time")]
    CommandTimedOut,
    /// The controller did not become ready within the time it names itself (CAP.TO), or reports a fatal state (CSTS.CFS).
    #[error("the controller did not become ready")]
    NotReady,
    /// The controller wants to know who we are by a secret we do not have.
    #[error("the controller demands authentication")]
    AuthenticationRequired,
    /// An access state that was to change for a while did not settle in the time the controller names itself (ANATT).
    #[error("a namespace's access state did not settle in time")]
    AccessNotSettled,
    /// The controller reports something that cannot be.
    #[error("the controller's data makes no sense ({0})")]
    Nonsense(Step),
    /// No memory for buffers.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The owner closed the host.
    #[error("closed")]
    Closed,
}

/// A step of the way up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The stream or connection of the admin queue, and its initialization.
    Stream,
    /// Connect of the admin queue.
    Connect,
    /// Property CAP is read.
    Capabilities,
    /// Property CC is written: enabled.
    Enable,
    /// Property CSTS is read until it says ready.
    Ready,
    /// Identify Controller.
    Identify,
    /// Identify: limits of the commands of the NVM command set.
    CommandLimits,
    /// Set Features: asynchronous events wanted.
    AsyncEvents,
    /// Set Features: number of queues.
    QueueCount,
    /// Streams or connections, and Connect commands of the I/O queues, one after the other.
    IoQueues,
    /// The namespaces are looked at.
    Namespaces,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Stream => "initializing the connection",
            Step::Connect => "Connect of the admin queue",
            Step::Capabilities => "reading its capabilities",
            Step::Enable => "being enabled",
            Step::Ready => "telling its status",
            Step::Identify => "Identify Controller",
            Step::CommandLimits => "telling limits of its commands",
            Step::AsyncEvents => "configuring asynchronous events",
            Step::QueueCount => "setting the number of queues",
            Step::IoQueues => "Connect of an I/O queue",
            Step::Namespaces => "listing its namespaces",
        })
    }
}

impl Failure {
    /// True if trying again is known to be useless.
    pub fn is_final(&self) -> bool {
        match self {
            Failure::Refused { status, .. } => status.do_not_retry(),
            Failure::AuthenticationRequired | Failure::Closed => true,
            Failure::Queue(QueueEnd::Digests) => true,
            Failure::Queue(_) | Failure::Rdma(_) | Failure::ConnectTimedOut(_) => false,
            Failure::CommandTimedOut | Failure::NotReady | Failure::Nonsense(_) => false,
            Failure::AccessNotSettled => false,
            Failure::OutOfMemory(_) => false,
        }
    }
}

impl From<IoError> for Failure {
    fn from(error: IoError) -> Self {
        Self::Queue(QueueEnd::Stream(error))
    }
}

fn status_name(step: Step, status: Status) -> &'static str {
    let name = match step {
        Step::Connect | Step::IoQueues => status.fabrics_name(),
        _ => status.name(),
    };
    name.unwrap_or("a status without a name")
}

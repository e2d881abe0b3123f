//! What a provider does.

use crate::{
    AttachError, Completion, Connections, CqId, CreateError, DestroyError, Event, Key, Limits, Management,
    ModifyError, Object, PdId, QpId, QpInfo, QpInit, ReceiveRequest, Registered, Registration, Rejected,
    SendRequest, SrqId, Transition, WindowKind,
};
use core::net::IpAddr;
use stdx::env::{Env, Owner};
use stdx::time::Time;

/// Queue pairs and all they need.
///
/// Commands only note what is wanted; [`Provider::turn`] does it. A shard's turn: events of the environment are handed to
/// [`Provider::handle_event`], everyone polls, posts and arms, then [`Provider::turn`] is called, at
/// [`Provider::deadline`] at the latest. What was asked for after it waits for the next.
pub trait Provider {
    /// What the provider allows.
    fn limits(&self) -> &Limits;

    /// Makes a protection domain.
    fn alloc_pd(&mut self) -> Result<PdId, CreateError>;

    /// Makes memory known to a domain's queue pairs and their peers.
    fn register(
        &mut self,
        env: &mut dyn Env,
        pd: PdId,
        registration: &Registration<'_>,
    ) -> Result<Registered, CreateError>;

    /// Makes a region of up to `pieces_max` pieces that gets its memory by [`Work::Register`](crate::Work::Register), and
    /// may be closed by [`Work::Invalidate`](crate::Work::Invalidate) or by the peer.
    fn alloc_region(&mut self, pd: PdId, pieces_max: u32) -> Result<Key, CreateError>;

    /// Closes a region from [`Provider::alloc_region`] at once, where [`Work::Invalidate`](crate::Work::Invalidate) does it in its
    /// turn and tells of it when all work before it is acknowledged. Says whether the region was open under this key: one that
    /// is yet to be opened by work that was posted is not closed.
    fn close_region(&mut self, pd: PdId, key: Key) -> bool;

    /// Makes a memory window that opens nothing yet.
    fn alloc_window(&mut self, pd: PdId, kind: WindowKind) -> Result<Key, CreateError>;

    /// Makes a completion queue of `entries`. Its events go to `owner`.
    fn create_cq(&mut self, owner: Owner, entries: u32) -> Result<CqId, CreateError>;

    /// Makes a shared receive queue of `entries` with scatter lists of `sges`. Its events go to `owner`.
    fn create_srq(&mut self, owner: Owner, pd: PdId, entries: u32, sges: u32) -> Result<SrqId, CreateError>;

    /// Makes a queue pair. Its events go to `owner`.
    fn create_qp(&mut self, owner: Owner, init: &QpInit) -> Result<QpId, CreateError>;

    /// Ends an object.
    fn destroy(&mut self, env: &mut dyn Env, object: Object) -> Result<(), DestroyError>;

    /// Changes a queue pair's state.
    fn modify_qp(&mut self, qp: QpId, transition: &Transition) -> Result<(), ModifyError>;

    /// What a queue pair is now.
    fn query_qp(&self, qp: QpId) -> Option<QpInfo>;

    /// Asks for [`What::SrqLimitReached`](crate::What) once fewer than `limit` receives are left; 0 asks for none.
    fn arm_srq(&mut self, srq: SrqId, limit: u32);

    /// Has a datagram queue pair receive what is sent to a multicast group, too: to its address and [`MULTICAST_QPN`](crate::MULTICAST_QPN).
    /// The network is asked for it (10.5.2). A member becomes none when it is destroyed.
    fn attach(&mut self, env: &mut dyn Env, qp: QpId, group: IpAddr) -> Result<(), AttachError> {
        let _ = (env, qp, group);
        Err(AttachError::Unsupported)
    }

    /// Ends [`Provider::attach`].
    fn detach(&mut self, env: &mut dyn Env, qp: QpId, group: IpAddr) -> Result<(), AttachError> {
        let _ = (env, qp, group);
        Err(AttachError::Unsupported)
    }

    /// Posts to a send queue. What is wrong with memory or peer is told by the completion.
    fn post_send<'a>(&mut self, qp: QpId, request: SendRequest<'a>) -> Result<(), Rejected<SendRequest<'a>>>;

    /// Posts to a receive queue.
    fn post_receive<'a>(
        &mut self,
        queue: ReceiveQueue,
        request: ReceiveRequest<'a>,
    ) -> Result<(), Rejected<ReceiveRequest<'a>>>;

    /// Appends at most `max` completions, in the order they came; says how many. A queue that is gone has none.
    fn poll_cq(&mut self, cq: CqId, max: usize, done: &mut Vec<Completion>) -> usize;

    /// Asks for [`What::Completion`](crate::What) at the next completion of that kind. One that is in the queue already is
    /// none: arm, then poll once more.
    fn arm_cq(&mut self, cq: CqId, notify: Notify);

    /// True if a queue pair's peer copies what it gets from [published](stdx::mem::Kind::Published) memory itself, so that it
    /// is worth while to have it there. It may read all of a region from which anything was sent to it.
    fn shares_memory(&self, qp: QpId) -> bool {
        let _ = qp;
        false
    }

    /// The next thing that happened.
    fn poll_event(&mut self) -> Option<Event>;

    /// An event of the environment, if it is of something this provider owns.
    fn handle_event(&mut self, env: &mut dyn Env, event: &stdx::env::Event);

    /// Does what there is to do.
    fn turn(&mut self, env: &mut dyn Env);

    /// When [`Provider::turn`] is due even if nothing happens; a time past: at once.
    fn deadline(&self) -> Option<Time>;
}

/// A provider whose queue pairs can be connected, and that has general services.
pub trait Device: Provider + Connections + Management {}

impl<T: Provider + Connections + Management> Device for T {}

/// Where receives are posted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiveQueue {
    /// A queue pair's own.
    Own(QpId),
    /// A shared one.
    Shared(SrqId),
}

/// Which completions to be told of (11.4.2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Notify {
    /// Those that their sender asked it for, and those that failed.
    Solicited,
    /// All.
    All,
}

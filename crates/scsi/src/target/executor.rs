//! What a transport needs of whoever executes its commands.

use super::{
    Begun, Command, ConfigError, DeviceKey, Event, Management, ManagementOutcome, NexusKey, Outcome, TaskKey,
};
use stdx::env::Env;
use stdx::mem::Span;
use wire::scsi::TransportId;

/// Executes what transports bring. The `Target` does; so that a transport's behaviour can be looked at alone, with tasks
/// that end when a test says so, transports know no more than this.
pub trait Executor {
    /// An initiator port logged in to a port of a device; see [`Executor::lose`].
    fn open_nexus(
        &mut self,
        device: DeviceKey,
        initiator: TransportId,
        port: u16,
    ) -> Result<NexusKey, ConfigError>;

    /// A task enters its logical unit's task set. Called in the order of delivery.
    fn begin(&mut self, env: &mut dyn Env, command: &Command) -> Begun;

    /// Executes a command now, if that takes no waiting and all goes well: it is no task, and has no outcome but this. `data`
    /// is what a write brings, wherever it lies, or empty for a read, of which the volume's own memory is the answer; it
    /// holds until the next call. `None` if nothing was done: the command then takes the long way. [`Command::slot`] means
    /// nothing.
    fn perform(&mut self, env: &mut dyn Env, command: &Command, data: Span) -> Option<Span> {
        let _ = (env, command, data);
        None
    }

    /// The data of a task is there (or the buffer for it; [`Span::EMPTY`] if there is none, or the volume lends). It is the
    /// target's until the task's outcome.
    fn submit(&mut self, env: &mut dyn Env, task: TaskKey, data: Span);

    /// A task management request; its outcome follows through [`Executor::poll_management`].
    fn manage(&mut self, env: &mut dyn Env, request: &Management);

    /// Appends the tasks that have ended since the last call.
    fn poll(&mut self, env: &mut dyn Env, outcomes: &mut Vec<Outcome>);

    /// The next task management request that is done. To be asked after [`Executor::poll`], so that the outcomes of the
    /// tasks it ended are told first.
    fn poll_management(&mut self) -> Option<(NexusKey, u32, ManagementOutcome)>;

    /// The nexus is lost (SAM-5, section 6.3.4). Each of its tasks still has its outcome.
    fn lose(&mut self, env: &mut dyn Env, nexus: NexusKey);

    /// Whether commands of a nexus have to wait: tasks of a lost one of the same name are still being executed, and what they
    /// write must not land on what this one writes. They become fewer by [`Executor::poll`].
    fn awaits_predecessor(&mut self, nexus: NexusKey) -> bool;

    /// The next nexus that the transport must end: its device or its initiator's right is gone.
    fn poll_lost(&mut self) -> Option<NexusKey>;

    /// The next event that an initiator may be told of. A transport that has no way to tell need not ask:
    /// only so many are kept.
    fn poll_event(&mut self) -> Option<Event>;
}

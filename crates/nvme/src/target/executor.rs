//! What a transport needs of whoever executes its commands.

use super::{Arrival, Connected, Options, QueueKey, Refusal, Request, Response, Target, Transfer};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::fabrics::ConnectData;
use wire::nvme::{Status, SubmissionQueueEntry};

/// Executes what transports bring. The target does; so that a transport's behaviour can be looked at alone, with commands
/// that complete when a test says so, transports know no more than this. The order of calls stands in [`Request`]'s
/// module.
pub trait Executor {
    /// The choices that hold for every queue.
    fn options(&self) -> &Options;

    /// Whether some subsystem has a controller with this identifier, for transports whose hosts name one before they connect.
    fn has_controller(&self, controller_id: u16) -> bool;

    /// Makes a queue on a connection that came in as `arrival` says. `None` if the host has to wait:
    /// [`Executor::poll_connected`] answers.
    fn connect(
        &mut self,
        env: &mut dyn Env,
        connection: Key,
        arrival: &Arrival,
        command: &SubmissionQueueEntry,
        data: &ConnectData,
    ) -> Option<Result<Connected, Refusal>>;

    /// The answer to a Connect that had to wait, and its connection; to be asked after connections were ended.
    fn poll_connected(&mut self, env: &mut dyn Env) -> Option<(Key, Result<Connected, Refusal>)> {
        let _ = env;
        None
    }

    /// The connection of a Connect that waits is gone.
    fn forget_connect(&mut self, connection: Key) {
        let _ = connection;
    }

    /// Which data a command moves: asked once for each command, in the order they came. An error is the command's
    /// answer; it is then not submitted.
    fn transfer(&mut self, queue: QueueKey, command: &SubmissionQueueEntry) -> Result<Transfer, Status>;

    /// Executes a command now, if that takes no waiting and all goes well: [`Executor::transfer`] and
    /// [`Executor::submit`] in one, and nothing is left to answer. `data` is what a write brings, wherever it lies, or empty
    /// for a read, of which a volume's own memory is the answer; it holds until the next request is executed. `None` if
    /// nothing was done: the command then takes the long way.
    fn perform(
        &mut self,
        env: &mut dyn Env,
        queue: QueueKey,
        command: &SubmissionQueueEntry,
        data: Span,
    ) -> Option<Span> {
        let _ = (env, queue, command, data);
        None
    }

    /// Executes a command whose data is there. Answered through [`Executor::poll`], exactly once, in any order.
    fn submit(&mut self, env: &mut dyn Env, queue: QueueKey, request: Request);

    /// The transport answered a command with `status` itself after [`Executor::transfer`] accepted it, because its data
    /// did not arrive intact. It is not submitted.
    fn abandon(&mut self, queue: QueueKey, command: &SubmissionQueueEntry, status: Status) {
        let _ = (queue, command, status);
    }

    /// Appends what is answered since the last call.
    fn poll(&mut self, env: &mut dyn Env, responses: &mut Vec<Response>);

    /// A queue's connection is gone. Each of its requests is still answered, at once or when its buffer is free.
    fn disconnect(&mut self, env: &mut dyn Env, queue: QueueKey);

    /// The next connection that the transport must end.
    fn poll_disconnect(&mut self) -> Option<Key>;
}

impl Executor for Target {
    fn options(&self) -> &Options {
        Target::options(self)
    }

    fn has_controller(&self, controller_id: u16) -> bool {
        Target::has_controller(self, controller_id)
    }

    fn connect(
        &mut self,
        env: &mut dyn Env,
        connection: Key,
        arrival: &Arrival,
        command: &SubmissionQueueEntry,
        data: &ConnectData,
    ) -> Option<Result<Connected, Refusal>> {
        Target::connect(self, env, connection, arrival, command, data)
    }

    fn poll_connected(&mut self, env: &mut dyn Env) -> Option<(Key, Result<Connected, Refusal>)> {
        Target::poll_connected(self, env)
    }

    fn forget_connect(&mut self, connection: Key) {
        Target::forget_connect(self, connection);
    }

    fn transfer(&mut self, queue: QueueKey, command: &SubmissionQueueEntry) -> Result<Transfer, Status> {
        Target::transfer(self, queue, command)
    }

    fn perform(
        &mut self,
        env: &mut dyn Env,
        queue: QueueKey,
        command: &SubmissionQueueEntry,
        data: Span,
    ) -> Option<Span> {
        Target::perform(self, env, queue, command, data)
    }

    fn submit(&mut self, env: &mut dyn Env, queue: QueueKey, request: Request) {
        Target::submit(self, env, queue, request);
    }

    fn abandon(&mut self, queue: QueueKey, command: &SubmissionQueueEntry, status: Status) {
        Target::abandon(self, queue, command, status);
    }

    fn poll(&mut self, env: &mut dyn Env, responses: &mut Vec<Response>) {
        Target::poll(self, env, responses);
    }

    fn disconnect(&mut self, env: &mut dyn Env, queue: QueueKey) {
        Target::disconnect(self, env, queue);
    }

    fn poll_disconnect(&mut self) -> Option<Key> {
        Target::poll_disconnect(self)
    }
}

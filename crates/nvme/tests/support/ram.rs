//! An executor with a small RAM volume and no rules: transports are looked at alone. Commands complete at once, or when the
//! test says so.

use ::nvme::target::{Arrival, Connected, Executor, Options, QueueKey, Refusal, Request, Response, Transfer};
use stdx::env::Env;
use stdx::mem::{Kind, Span};
use stdx::slab::{Key, Slab};
use wire::nvme::fabrics::{Connect, ConnectAttributes, ConnectData};
use wire::nvme::{AdminOpcode, NvmOpcode, Status, SubmissionQueueEntry};

/// Blocks of 512 bytes; reads and writes alone, and admin commands without data that do nothing.
pub struct Ram {
    options: Options,
    memory: Span,
    queues: Slab<()>,
    done: Vec<Response>,
    held: Vec<(QueueKey, Request)>,
    /// Commands wait for [`Ram::release`].
    pub hold: bool,
    /// Reads are answered with the volume's own memory.
    pub lends: bool,
}

impl Ram {
    /// A volume of zeros.
    pub fn new(env: &mut dyn Env) -> Self {
        let region = env.mem().map(Kind::Shared, 4 << 20).unwrap();
        Self {
            options: Options::default(),
            memory: env.mem().whole(region),
            queues: Slab::new(2000),
            done: Vec::new(),
            held: Vec::new(),
            hold: false,
            lends: true,
        }
    }

    /// Executes what waits.
    pub fn release(&mut self, env: &mut dyn Env) {
        self.hold = false;
        for (_, request) in std::mem::take(&mut self.held) {
            self.execute(env, request);
        }
    }

    /// How many commands wait.
    pub fn waiting(&self) -> usize {
        self.held.len()
    }

    fn execute(&mut self, env: &mut dyn Env, request: Request) {
        let Request { connection, slot, command, data } = request;
        let blocks = self.memory.slice(command.cdw10.get() as usize * 512, len(&command) as usize);
        let data = match NvmOpcode::from_code(command.opcode) {
            Some(NvmOpcode::Write) => {
                env.mem().copy(blocks, data);
                Span::EMPTY
            }
            Some(NvmOpcode::Read) if data.is_empty() => blocks,
            Some(NvmOpcode::Read) => {
                env.mem().copy(data, blocks);
                data
            }
            _ => Span::EMPTY,
        };
        self.done.push(Response { connection, slot, status: Status::SUCCESS, result: 0, data });
    }
}

impl Executor for Ram {
    fn options(&self) -> &Options {
        &self.options
    }

    fn has_controller(&self, _: u16) -> bool {
        true
    }

    fn connect(
        &mut self,
        _env: &mut dyn Env,
        _connection: Key,
        _arrival: &Arrival,
        command: &SubmissionQueueEntry,
        data: &ConnectData,
    ) -> Option<Result<Connected, Refusal>> {
        let connect = Connect::read(command);
        if data.subsystem().is_err() {
            return Some(Err(Refusal { status: Status::CONNECT_INVALID_PARAMETERS, result: 256 }));
        }
        Some(Ok(Connected {
            queue: QueueKey(self.queues.insert(()).unwrap()),
            queue_id: connect.queue_id,
            controller_id: 1,
            entries: u32::from(connect.queue_size_zero_based) + 1,
            flow_control_disabled: connect.attributes.contains(ConnectAttributes::DISABLE_FLOW_CONTROL),
            result: 1,
        }))
    }

    fn transfer(&mut self, _queue: QueueKey, command: &SubmissionQueueEntry) -> Result<Transfer, Status> {
        match NvmOpcode::from_code(command.opcode) {
            Some(NvmOpcode::Write) => Ok(Transfer::ToController { len: len(command) }),
            Some(NvmOpcode::Read) => Ok(Transfer::FromController { len: len(command), lent: self.lends }),
            Some(NvmOpcode::Flush) => Ok(Transfer::None),
            _ if AdminOpcode::from_code(command.opcode).is_some() => Ok(Transfer::None),
            _ => Err(Status::INVALID_OPCODE.with_do_not_retry()),
        }
    }

    fn submit(&mut self, env: &mut dyn Env, queue: QueueKey, request: Request) {
        let patient = request.command.opcode == AdminOpcode::AsynchronousEventRequest.code();
        if self.hold || patient {
            self.held.push((queue, request));
        } else {
            self.execute(env, request);
        }
    }

    fn poll(&mut self, _env: &mut dyn Env, responses: &mut Vec<Response>) {
        responses.append(&mut self.done);
    }

    fn disconnect(&mut self, _env: &mut dyn Env, queue: QueueKey) {
        self.queues.remove(queue.0).expect("a queue ends once");
        let (given_up, held) = std::mem::take(&mut self.held).into_iter().partition(|(of, _)| *of == queue);
        self.held = held;
        let given_up: Vec<_> = given_up;
        self.done.extend(given_up.iter().map(|(_, request): &(QueueKey, Request)| Response {
            connection: request.connection,
            slot: request.slot,
            status: Status::ABORTED_QUEUE_DELETION,
            result: 0,
            data: Span::EMPTY,
        }));
    }

    fn poll_disconnect(&mut self) -> Option<Key> {
        None
    }
}

fn len(command: &SubmissionQueueEntry) -> u32 {
    ((command.cdw12.get() & 0xffff) + 1) * 512
}

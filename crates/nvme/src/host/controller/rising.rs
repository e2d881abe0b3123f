//! The way up: from a stream to a controller whose namespaces are known (Base 3.5, Fabrics 3.3; TCP Transport 3.3).
//!
//! ```text
//!   Stream -> Connect -> Capabilities -> Enable -> Ready (polled) -> Identify -> CommandLimits -> AsyncEvents
//!          -> QueueCount -> IoQueues (each: stream, Connect) -> Namespaces -> Live
//! ```
//!
//! Each step is one command whose completion begins the next. CommandLimits is skipped if the controller is older than
//! they are, AsyncEvents if the controller has none of those
//! we use, QueueCount and the two after it if no I/O queue is wanted.

use super::admin::AdminCommand;
use super::{CommandLimits, Controller, Phase};
use crate::host::event::{Failure, HostEvent, Step};
use crate::host::queue::{Data, InCapsule, Queue, State};
use crate::host::tcp::{Parameters, QueueMemory, QueuePair};
use core::time::Duration;
use stdx::env::Env;
use wire::nvme::admin::{IdentifyRequest, SetFeatures};
use wire::nvme::fabrics::{
    CC_COMMAND_SET_ALL, CC_COMMAND_SET_NVM, Capabilities, Configuration, Connect, ConnectAttributes,
    ConnectData, ConnectResult, ControllerStatus, Property, PropertyGet, PropertySet, ShutdownNotification,
};
use wire::nvme::features::{Feature, NumberOfQueues};
use wire::nvme::identify::{AsyncEvents, ControllerData, Structure};
use wire::nvme::{CONTROLLER_ANY, Status, SubmissionQueueEntry};

impl Controller {
    /// Begins the way up.
    pub(super) fn rise(&mut self, env: &mut dyn Env) {
        let deadline = env.now() + self.options.connect_timeout;
        self.phase = Phase::Rising { step: Step::Stream, deadline };
        match self.open_queue(env, 0, ADMIN_QUEUE_ENTRIES) {
            Ok(queue) => self.admin = Some(queue),
            Err(why) => self.lose(env, why),
        }
    }

    fn open_queue(&mut self, env: &mut dyn Env, id: usize, entries: u16) -> Result<Queue, Failure> {
        if let Some(link) = &self.link {
            let is_admin = id == 0;
            let controller_id = if is_admin { 0 } else { self.controller_id };
            let data = self.data.as_deref().filter(|_| !is_admin);
            let in_capsule = data.map_or(InCapsule::default(), in_capsule);
            let queue = link.queue(id as u16, controller_id, entries, self.flow_control, in_capsule);
            return Ok(Queue::Rdma(queue));
        }
        let parameters = Parameters {
            address: self.options.address,
            digests: self.options.digests,
            entries,
            flow_control: self.flow_control,
            receive_len: if id == 0 { ADMIN_RECEIVE_LEN } else { IO_RECEIVE_LEN },
        };
        let memory = match self.spare.remove(&id) {
            Some(memory) => memory,
            None => QueueMemory::map(env.mem(), &parameters)?,
        };
        QueuePair::connect(env, self.owner, &parameters, memory).map(Queue::Tcp).map_err(|error| {
            self.spare.insert(id, memory);
            error.into()
        })
    }

    /// Goes on if the stream that the way up waits for is there.
    pub(super) fn handle_established(&mut self, env: &mut dyn Env) {
        match self.phase {
            Phase::Rising { step: Step::Stream, .. }
                if self.admin.as_ref().is_some_and(|queue| queue.state() == State::Established) =>
            {
                self.begin_step(env, Step::Connect);
            }
            Phase::Rising { step: Step::IoQueues, .. }
                if self
                    .io
                    .last()
                    .is_some_and(|queue| queue.state() == State::Established && queue.outstanding() == 0) =>
            {
                self.connect_io_queue(env);
            }
            _ => {}
        }
    }

    fn begin_step(&mut self, env: &mut dyn Env, step: Step) {
        let (Phase::Rising { deadline, .. } | Phase::Polling { deadline, .. }) = self.phase else { return };
        self.phase = Phase::Rising { step, deadline };
        match step {
            Step::Stream => {}
            Step::Connect => self.connect_admin_queue(env),
            Step::Capabilities => {
                self.send_step(env, &PropertyGet::command(Property::Capabilities, 0), Data::None)
            }
            Step::Enable => {
                let value = u64::from(self.configuration().bits());
                self.send_step(env, &PropertySet::command(Property::Configuration, value, 0), Data::None);
            }
            Step::Ready => self.send_step(env, &PropertyGet::command(Property::Status, 0), Data::None),
            Step::Identify => {
                let request =
                    IdentifyRequest { structure: Structure::Controller.code(), ..Default::default() };
                self.send_step(env, &request.command(0, 0), Data::FromController(self.page));
            }
            Step::CommandLimits => self.request_limits(env),
            Step::AsyncEvents => self.configure_async_events(env),
            Step::QueueCount => self.request_queues(env),
            Step::IoQueues => self.open_io_queue(env),
            Step::Namespaces => self.begin_scan(env),
        }
    }

    pub(super) fn send_step(&mut self, env: &mut dyn Env, command: &SubmissionQueueEntry, data: Data) {
        let Phase::Rising { step, .. } = self.phase else { return };
        let sent = self.send_admin(env, AdminCommand::Rising(step), command, data);
        self.admin_or_lose(env, sent);
    }

    pub(super) fn handle_step_done(&mut self, env: &mut dyn Env, step: Step, status: Status, result: u64) {
        if !status.is_success() && !matches!(step, Step::CommandLimits | Step::AsyncEvents) {
            return self.handle_step_refused(env, step, status);
        }
        match step {
            Step::Connect => self.handle_connected(env, result),
            Step::Capabilities => {
                self.capabilities = Capabilities::from_bits(result);
                self.begin_step(env, Step::Enable);
            }
            Step::Enable => {
                let ready_by =
                    env.now() + READY_TIMEOUT_UNIT * u32::from(self.capabilities.ready_timeout.max(1));
                let Phase::Rising { deadline, .. } = self.phase else { return };
                self.phase = Phase::Polling { at: env.now(), ready_by, deadline };
                self.poll_ready(env);
            }
            Step::Ready => self.handle_status(env, ControllerStatus::from_bits(result as u32)),
            Step::Identify => self.handle_identified(env),
            Step::CommandLimits => {
                self.handle_limits(env, status);
                self.begin_step_after_limits(env);
            }
            Step::AsyncEvents => {
                if status.is_success() {
                    self.request_async_event(env);
                }
                self.begin_step(
                    env,
                    if self.options.io_queues == 0 { Step::Namespaces } else { Step::QueueCount },
                );
            }
            Step::QueueCount => self.handle_queues_granted(env, result as u32),
            Step::Stream | Step::IoQueues | Step::Namespaces => {}
        }
    }

    /// A controller that cannot do without flow control says that the Connect attributes are wrong: then with it.
    fn handle_step_refused(&mut self, env: &mut dyn Env, step: Step, status: Status) {
        let connect = matches!(step, Step::Connect | Step::IoQueues);
        if connect && status.kind() == Status::CONNECT_INVALID_PARAMETERS && !self.flow_control {
            self.flow_control = true;
            self.drop_queues(env, true);
            return self.rise(env);
        }
        self.lose(env, Failure::Refused { step, status });
    }

    fn connect_command(&self, queue_id: u16, entries: u16) -> SubmissionQueueEntry {
        let attributes =
            if self.flow_control { ConnectAttributes::NONE } else { ConnectAttributes::DISABLE_FLOW_CONTROL };
        let keep_alive_ms = if queue_id == 0 { self.options.keep_alive.as_millis() as u32 } else { 0 };
        let queue_size_zero_based = entries - 1;
        Connect { record_format: 0, queue_id, queue_size_zero_based, attributes, keep_alive_ms }.command(0)
    }

    fn write_connect_data(&mut self, env: &mut dyn Env, controller_id: u16) {
        let options = &self.options;
        let data = ConnectData::new(options.host_id, controller_id, &options.subsystem, &options.host);
        // The span has exactly the length of the structure.
        let _ = data.encode(env.mem().bytes_mut(self.connect_data));
    }

    fn connect_admin_queue(&mut self, env: &mut dyn Env) {
        self.write_connect_data(env, CONTROLLER_ANY);
        let command = self.connect_command(0, ADMIN_QUEUE_ENTRIES);
        self.send_step(env, &command, Data::ToController(self.connect_data));
    }

    fn handle_connected(&mut self, env: &mut dyn Env, result: u64) {
        match ConnectResult::connected(result as u32) {
            ConnectResult::Connected { authentication_required: true, .. } => {
                self.lose(env, Failure::AuthenticationRequired);
            }
            ConnectResult::Connected { controller_id, .. } => {
                self.controller_id = controller_id;
                self.begin_step(env, Step::Capabilities);
            }
            ConnectResult::Invalid(_) => self.lose(env, Failure::Nonsense(Step::Connect)),
        }
    }

    /// Reads CSTS once.
    pub(super) fn poll_ready(&mut self, env: &mut dyn Env) {
        let Phase::Polling { ready_by, deadline, .. } = self.phase else { return };
        self.phase = Phase::Polling { at: deadline, ready_by, deadline };
        let command = PropertyGet::command(Property::Status, 0);
        let sent = self.send_admin(env, AdminCommand::Rising(Step::Ready), &command, Data::None);
        self.admin_or_lose(env, sent);
    }

    fn handle_status(&mut self, env: &mut dyn Env, status: ControllerStatus) {
        let Phase::Polling { ready_by, deadline, .. } = self.phase else { return };
        let now = env.now();
        if status.fatal || (!status.ready && now >= ready_by) {
            self.lose(env, Failure::NotReady);
        } else if status.ready {
            self.begin_step(env, Step::Identify);
        } else {
            self.phase = Phase::Polling { at: now + READY_POLL_INTERVAL, ready_by, deadline };
        }
    }

    fn handle_identified(&mut self, env: &mut dyn Env) {
        let data = match ControllerData::view(env.mem().bytes(self.page)) {
            Ok(data) => Box::new(*data),
            Err(_) => return self.lose(env, Failure::Nonsense(Step::Identify)),
        };
        self.data = Some(data);
        self.limits = CommandLimits::default();
        self.start_keep_alive(env);
        if self.tells_limits() {
            self.begin_step(env, Step::CommandLimits);
        } else {
            self.begin_step_after_limits(env);
        }
    }

    fn begin_step_after_limits(&mut self, env: &mut dyn Env) {
        let wanted = self.data.as_ref().map_or(AsyncEvents::NONE, |data| wanted_events(data));
        let next = if wanted != AsyncEvents::NONE {
            Step::AsyncEvents
        } else if self.options.io_queues == 0 {
            Step::Namespaces
        } else {
            Step::QueueCount
        };
        self.begin_step(env, next);
    }

    fn configure_async_events(&mut self, env: &mut dyn Env) {
        let wanted = self.data.as_ref().map_or(AsyncEvents::NONE, |data| wanted_events(data));
        let set = SetFeatures {
            feature: Feature::AsynchronousEventConfiguration.code(),
            save: false,
            dword11: wanted.bits(),
        };
        self.send_step(env, &set.command(0), Data::None);
    }

    fn request_queues(&mut self, env: &mut dyn Env) {
        let count = u32::from(self.options.io_queues);
        let dword11 = NumberOfQueues { submission: count, completion: count }.to_dword();
        let set = SetFeatures { feature: Feature::NumberOfQueues.code(), save: false, dword11 };
        self.send_step(env, &set.command(0), Data::None);
    }

    fn handle_queues_granted(&mut self, env: &mut dyn Env, dword0: u32) {
        let Some(granted) = NumberOfQueues::from_dword(dword0) else {
            return self.lose(env, Failure::Nonsense(Step::QueueCount));
        };
        let granted = granted.submission.min(granted.completion);
        self.granted_queues = granted.min(u32::from(self.options.io_queues)) as u16;
        self.begin_step(env, Step::IoQueues);
    }

    /// Entries of an I/O queue: as many as wanted, no more than the controller has room for (MQES, MAXCMD).
    pub(super) fn io_queue_entries(&self) -> u16 {
        let limit = self.capabilities.queue_entries_max_zero_based.saturating_add(1);
        let outstanding_max = self.data.as_ref().map_or(0, |data| data.max_commands.get());
        let outstanding_max = if outstanding_max == 0 { u16::MAX } else { outstanding_max.saturating_add(1) };
        self.options.queue_size.min(limit).min(outstanding_max).max(2)
    }

    fn open_io_queue(&mut self, env: &mut dyn Env) {
        let entries = self.io_queue_entries();
        match self.open_queue(env, self.io.len() + 1, entries) {
            Ok(queue) => self.io.push(queue),
            Err(why) => self.lose(env, why),
        }
    }

    fn connect_io_queue(&mut self, env: &mut dyn Env) {
        self.write_connect_data(env, self.controller_id);
        let command = self.connect_command(self.io.len() as u16, self.io_queue_entries());
        let data = Data::ToController(self.connect_data);
        let Some(queue) = self.io.last_mut() else { return };
        if queue.submit(env, &command, data, CONNECT_TOKEN).is_ok() {
            queue.flush(env);
        } else {
            self.lose(env, Failure::ConnectTimedOut(Step::IoQueues));
        }
    }

    /// Connect of the newest I/O queue was answered.
    pub(super) fn handle_io_connected(&mut self, env: &mut dyn Env, status: Status, result: u64) {
        if !status.is_success() {
            return self.handle_step_refused(env, Step::IoQueues, status);
        }
        if let ConnectResult::Connected { authentication_required: true, .. } =
            ConnectResult::connected(result as u32)
        {
            return self.lose(env, Failure::AuthenticationRequired);
        }
        let in_capsule = self.data.as_ref().map_or(InCapsule::default(), |data| in_capsule(data));
        if let Some(queue) = self.io.last_mut() {
            queue.set_in_capsule(in_capsule);
        }
        if self.io.len() < usize::from(self.granted_queues) {
            self.begin_step(env, Step::IoQueues);
        } else {
            self.begin_step(env, Step::Namespaces);
        }
    }

    /// The namespaces are known: the last step.
    pub(super) fn handle_risen(&mut self, env: &mut dyn Env) {
        self.phase = Phase::Live;
        self.lost_at = None;
        self.backoff.reset();
        let event = if self.was_live { HostEvent::Reconnected } else { HostEvent::Connected };
        self.was_live = true;
        self.events.push_back(event);
        self.watch_overdue(env);
        self.issue_waiting(env);
    }

    /// CC as we want it: enabled, all command sets if the controller can tell them apart (CAP.CSS), else the NVM one.
    fn configuration(&self) -> Configuration {
        let all = self.capabilities.command_sets & CAPABILITY_ALL_SETS != 0;
        let command_set = if all { CC_COMMAND_SET_ALL } else { CC_COMMAND_SET_NVM };
        Configuration { command_set, ..CONFIGURATION }
    }

    /// Tells the controller, without waiting for its answer, that we go (CC.SHN, Base 3.6.1).
    pub(super) fn shut_down(&mut self, env: &mut dyn Env) {
        if !self.is_live() {
            return;
        }
        let shutdown = Some(ShutdownNotification::Normal);
        let configuration = Configuration { shutdown, ..self.configuration() };
        let command = PropertySet::command(Property::Configuration, u64::from(configuration.bits()), 0);
        // If there is no room for it, the end of the stream says the same.
        let _ = self.send_admin(env, AdminCommand::Abort, &command, Data::None);
    }
}

/// Those events of a controller that we act on.
fn wanted_events(data: &ControllerData) -> AsyncEvents {
    let used = AsyncEvents::NAMESPACE_ATTRIBUTE | AsyncEvents::ANA_CHANGE | AsyncEvents::DISCOVERY_LOG_CHANGE;
    AsyncEvents(data.async_events.get() & used.bits())
}

/// What the capsule has beyond the command (IOCCSZ), and where in it data begins (ICDOFF).
fn in_capsule(data: &ControllerData) -> InCapsule {
    let len = data.command_capsule_size.get().saturating_mul(CAPSULE_UNIT);
    let offset = u32::from(data.in_capsule_data_offset.get()) * CAPSULE_UNIT;
    InCapsule { max: len.saturating_sub(SubmissionQueueEntry::LEN as u32).saturating_sub(offset), offset }
}

/// The token of Connect on an I/O queue; no request has it.
pub(super) const CONNECT_TOKEN: u64 = u64::MAX;

/// CAP.CSS: the controller has the structures that tell command sets apart.
const CAPABILITY_ALL_SETS: u8 = 1 << 6;

/// CC but for the command set: entries of 64 and 16 bytes, enabled.
const CONFIGURATION: Configuration = Configuration {
    enable: true,
    command_set: CC_COMMAND_SET_NVM,
    page_size: 0,
    arbitration: 0,
    shutdown: Some(ShutdownNotification::None),
    submission_entry_size: 6,
    completion_entry_size: 4,
    ready_independent_of_media: false,
};

/// Entries of the admin queue: what every controller grants (Fabrics 5.3).
pub(super) const ADMIN_QUEUE_ENTRIES: u16 = 32;
/// Bytes of the admin queue's receive buffer.
const ADMIN_RECEIVE_LEN: usize = 16 << 10;
/// Bytes of an I/O queue's receive buffer: 63 reads of 4 KiB in one receive.
const IO_RECEIVE_LEN: usize = 256 << 10;
/// IOCCSZ and ICDOFF count in so many bytes.
const CAPSULE_UNIT: u32 = 16;
/// CAP.TO counts in this.
const READY_TIMEOUT_UNIT: Duration = Duration::from_millis(500);
/// How often CSTS is read.
const READY_POLL_INTERVAL: Duration = Duration::from_millis(10);

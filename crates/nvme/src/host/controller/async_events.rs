//! Asynchronous events: one request is kept outstanding, and answered when something happens (Base 5.2).
//!
//! An event of a kind comes only once until its log page was read; what the page of the changed namespaces says is not
//! needed, since all are looked at again.

use super::Controller;
use super::admin::AdminCommand;
use crate::host::event::HostEvent;
use crate::host::queue::Data;
use stdx::env::Env;
use wire::nvme::admin::LogPageRequest;
use wire::nvme::aer::{AsyncEvent, AsyncEventResult};
use wire::nvme::identify::IDENTIFY_LEN;
use wire::nvme::log::LogPage;
use wire::nvme::{AdminOpcode, NAMESPACE_ALL, Status, SubmissionQueueEntry};

impl Controller {
    pub(super) fn request_async_event(&mut self, env: &mut dyn Env) {
        let command = SubmissionQueueEntry::new(AdminOpcode::AsynchronousEventRequest.code(), 0);
        let sent = self.send_admin(env, AdminCommand::AsyncEvent, &command, Data::None);
        self.admin_or_lose(env, sent);
    }

    /// A controller that refuses to tell events is not asked again: its namespaces stay as they were found.
    pub(super) fn handle_async_event(&mut self, env: &mut dyn Env, status: Status, result: u64) {
        if !status.is_success() {
            return;
        }
        let told = AsyncEventResult::from_dword(result as u32);
        match told.event() {
            Some(AsyncEvent::NamespaceAttributeChanged) => {
                self.read_event_log(env, LogPage::ChangedNamespaceList);
            }
            Some(AsyncEvent::AnaChange) => self.read_access(env),
            Some(AsyncEvent::DiscoveryLogChange) => self.events.push_back(HostEvent::DiscoveryLogChanged),
            Some(
                AsyncEvent::PersistentInternalError
                | AsyncEvent::TransientInternalError
                | AsyncEvent::Reliability
                | AsyncEvent::Temperature
                | AsyncEvent::Spare
                | AsyncEvent::FirmwareActivation
                | AsyncEvent::ReservationLogAvailable,
            )
            | None => {}
        }
        self.request_async_event(env);
    }

    fn read_event_log(&mut self, env: &mut dyn Env, page: LogPage) {
        let request = LogPageRequest { page: page.code(), length: IDENTIFY_LEN as u64, ..Default::default() };
        let command = request.command(0, NAMESPACE_ALL);
        // A look under way may use the page of memory meanwhile; nothing of the log is needed but that it was read.
        let data = Data::FromController(self.event_page);
        let sent = self.send_admin(env, AdminCommand::EventLog, &command, data);
        self.admin_or_lose(env, sent);
    }
}

//! Get Log Page (Base 5.16): each page is made whole, and the part asked for is given.

use super::super::Target;
use super::super::{Request, discovery};
use super::admin::{Outcome, SUPPORTED};
use super::{Controller, features};
use stdx::env::Env;
use stdx::slab::Key;
use wire::nvme::admin::LogPageRequest;
use wire::nvme::aer::AsyncEvent;
use wire::nvme::identify::fill_text;
use wire::nvme::log::{
    AnaGroupHeader, AnaHeader, CommandEffects, EffectsLog, FirmwareSlots, LogPage, SupportedLogPages,
};
use wire::nvme::{NAMESPACE_ALL, NvmOpcode, Status};
use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

impl Target {
    /// Get Log Page.
    pub(super) fn get_log_page(
        &mut self,
        env: &mut dyn Env,
        key: Key,
        request: &Request,
    ) -> Result<Outcome, Status> {
        let wanted = LogPageRequest::read(&request.command);
        let controller = self.controllers.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let page = LogPage::from_code(wanted.page).ok_or(Status::INVALID_LOG_PAGE)?;
        if !pages_of(controller).contains(&page) {
            return Err(Status::INVALID_LOG_PAGE);
        }
        if wanted.offset_is_index || !wanted.offset.is_multiple_of(4) {
            return Err(Status::INVALID_FIELD);
        }
        if page == LogPage::Health {
            check_health_scope(request.command.namespace_id.get())?;
        }
        let bytes = self.log_page(env, controller, page, &wanted);
        let start = usize::try_from(wanted.offset).map_err(|_| Status::INVALID_FIELD)?;
        let rest = bytes.get(start..).ok_or(Status::INVALID_FIELD)?;
        let len = rest.len().min(request.data.len());
        env.mem().fill(request.data.from(len), 0);
        env.mem().write(request.data, &rest[..len]);
        if !wanted.retain_event {
            self.page_was_read(key, page);
        }
        Ok(Outcome::Done(0, request.data))
    }

    fn log_page(
        &self,
        env: &mut dyn Env,
        controller: &Controller,
        page: LogPage,
        wanted: &LogPageRequest,
    ) -> Vec<u8> {
        match page {
            LogPage::SupportedLogPages => supported_pages(controller),
            LogPage::ErrorInformation => controller.errors.page(),
            LogPage::Health => {
                controller.health.page(env.now(), controller.errors.count()).as_bytes().to_vec()
            }
            LogPage::FirmwareSlot => firmware_slots(),
            LogPage::ChangedNamespaceList => controller.changed.page().as_bytes().to_vec(),
            LogPage::CommandEffects => command_effects(),
            LogPage::AsymmetricNamespaceAccess => {
                self.ana_page(controller, wanted.specific & GROUPS_ONLY != 0)
            }
            LogPage::FeatureEffects => feature_effects(),
            LogPage::Discovery => self.discovery_page(controller),
            LogPage::ReservationNotification => controller.notifications.page().as_bytes().to_vec(),
            // No other page is in `pages_of`, except the commands of a management interface there is not.
            _ => vec![0; EFFECTS_LEN],
        }
    }

    /// The host has read a page: what the page kept for it is gone, and its event may come again.
    fn page_was_read(&mut self, key: Key, page: LogPage) {
        let Some(controller) = self.controllers.get_mut(key) else { return };
        let events = AsyncEvent::ALL.into_iter();
        for event in events.filter(|event| event.result().log_page == page.code()) {
            controller.events.clear(event);
        }
        match page {
            LogPage::ChangedNamespaceList => controller.changed.clear(),
            LogPage::ReservationNotification if controller.notifications.advance() => {
                self.raise(key, AsyncEvent::ReservationLogAvailable);
            }
            _ => {}
        }
    }

    /// Asymmetric Namespace Access: the groups that have namespaces.
    fn ana_page(&self, controller: &Controller, groups_only: bool) -> Vec<u8> {
        let Some(subsystem) = self.subsystems.get(controller.subsystem) else { return Vec::new() };
        let mut members: Vec<(u32, u32)> = subsystem
            .active_ids()
            .filter_map(|(id, key)| Some((self.namespaces.get(key)?.ana_group, id)))
            .collect();
        members.sort_unstable();
        let groups = members.chunk_by(|a, b| a.0 == b.0);
        let changes = subsystem.ana_changes;
        let mut page = AnaHeader::new(changes, groups.clone().count() as u16).as_bytes().to_vec();
        for group in groups {
            let id = group[0].0;
            let state = subsystem.ana_state(&controller.arrival.portal, id);
            let listed = if groups_only { &[] } else { group };
            let header = AnaGroupHeader::new(id, listed.len() as u32, changes, state);
            page.extend_from_slice(header.as_bytes());
            page.extend(listed.iter().flat_map(|(_, member)| member.to_le_bytes()));
        }
        page
    }

    fn discovery_page(&self, controller: &Controller) -> Vec<u8> {
        discovery::page(&self.discovery, &self.subsystems, controller, &self.options)
    }
}

/// The pages a controller has.
fn pages_of(controller: &Controller) -> &'static [LogPage] {
    if controller.discovery { &DISCOVERY_PAGES } else { &IO_PAGES }
}

const DISCOVERY_PAGES: [LogPage; 1] = [LogPage::Discovery];
const IO_PAGES: [LogPage; 10] = [
    LogPage::SupportedLogPages,
    LogPage::ErrorInformation,
    LogPage::Health,
    LogPage::FirmwareSlot,
    LogPage::ChangedNamespaceList,
    LogPage::CommandEffects,
    LogPage::AsymmetricNamespaceAccess,
    LogPage::FeatureEffects,
    LogPage::ManagementEffects,
    LogPage::ReservationNotification,
];

/// Health is kept for the controller, not for each namespace (LPA bit 0 is clear).
fn check_health_scope(namespace_id: u32) -> Result<(), Status> {
    match namespace_id {
        0 | NAMESPACE_ALL => Ok(()),
        _ => Err(Status::INVALID_FIELD),
    }
}

fn supported_pages(controller: &Controller) -> Vec<u8> {
    let mut pages = SupportedLogPages::zeroed();
    for page in pages_of(controller) {
        pages.pages[usize::from(page.code())] = U32::new(1);
    }
    pages.as_bytes().to_vec()
}

fn firmware_slots() -> Vec<u8> {
    let mut slots = FirmwareSlots::zeroed();
    slots.active = 1;
    fill_text(&mut slots.revisions[0], env!("CARGO_PKG_VERSION"));
    slots.as_bytes().to_vec()
}

/// Feature Identifiers Supported and Effects (Base 5.16.1.18): bit 0 supported, the scope in bits 31:20.
fn feature_effects() -> Vec<u8> {
    let mut page = vec![0; EFFECTS_LEN];
    for feature in features::SUPPORTED {
        let namespace = features::capabilities(feature)
            .contains(wire::nvme::features::FeatureCapabilities::NAMESPACE_SPECIFIC);
        let scope =
            if namespace { CommandEffects::NAMESPACE_SCOPE } else { CommandEffects::CONTROLLER_SCOPE };
        let dword = CommandEffects::SUPPORTED.with(scope).bits();
        let start = usize::from(feature.code()) * 4;
        page[start..start + 4].copy_from_slice(&dword.to_le_bytes());
    }
    page
}

fn command_effects() -> Vec<u8> {
    let mut log = EffectsLog::zeroed();
    for opcode in SUPPORTED {
        log.set_admin(opcode.code(), CommandEffects::SUPPORTED);
    }
    for opcode in NvmOpcode::ALL {
        if let Some(effects) = io_effects(*opcode) {
            log.set_io(opcode.code(), effects);
        }
    }
    log.as_bytes().to_vec()
}

const fn io_effects(opcode: NvmOpcode) -> Option<CommandEffects> {
    match opcode {
        NvmOpcode::Write
        | NvmOpcode::WriteUncorrectable
        | NvmOpcode::WriteZeroes
        | NvmOpcode::DatasetManagement
        | NvmOpcode::Copy => Some(CommandEffects::SUPPORTED.with(CommandEffects::BLOCK_CONTENT_CHANGE)),
        NvmOpcode::Flush
        | NvmOpcode::Read
        | NvmOpcode::Compare
        | NvmOpcode::Verify
        | NvmOpcode::ReservationRegister
        | NvmOpcode::ReservationReport
        | NvmOpcode::ReservationAcquire
        | NvmOpcode::ReservationRelease => Some(CommandEffects::SUPPORTED),
        NvmOpcode::Fabrics => None,
    }
}

/// Log specific parameter bit 0 of the ANA page: no namespace lists (RGO).
const GROUPS_ONLY: u8 = 1;
/// Bytes of the pages with one dword for each of 256 identifiers.
const EFFECTS_LEN: usize = 1024;

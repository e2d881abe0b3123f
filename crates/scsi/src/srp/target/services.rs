//! How target ports are found by who knows only where they are: InfiniBand's device management (volume 1, section 16.3; T10
//! SRP, annex B.7) tells of them, and its connection manager knows them as services.
//!
//! All ports whose identifiers have one GUID are an I/O controller, and each of them is a service of it. The controller's GUID is
//! the id of them all, as a login says itself which port it is for. They are there while anything is listened on.
//!
//! Invariants: what is told can be asked for; a slot keeps its controller as long as no controller comes or goes.

use super::Server;
use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;
use stdx::env::Owner;
use stdx::mem::Memory;
use verbs::{AgentId, Device, ManagementDatagram, PortSpace, Role, What};
use wire::management::Datagram;
use wire::management::device::{
    self, Capabilities, ClassPortInfo, IoControllerProfile, IoUnitInfo, Refusal, Request, ServiceEntries,
    ServiceEntry, ServiceName, Slot, Status,
};
use wire::srp;

/// What is told, and listened on.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// Controllers, by slot, and where each is listened for.
    controllers: Vec<(u64, SocketAddr)>,
    agent: Option<AgentId>,
    /// Target ports or listeners may have changed.
    is_stale: bool,
    change_id: u16,
}

impl Services {
    /// Target ports or listeners may have changed.
    pub(super) const fn stir(&mut self) {
        self.is_stale = true;
    }
}

impl Server {
    /// An event of the device for one of this server's owners.
    pub fn handle_event(&mut self, device: &mut dyn Device, event: &verbs::Event) {
        match (event.what, self.services.agent) {
            (What::Datagrams(told), Some(agent)) if told == agent => self.answer_datagrams(device, agent),
            _ => self.endpoint.handle_event(device, event),
        }
    }

    /// Listens for the controllers that there are, and no others.
    pub(super) fn refresh_services(&mut self, device: &mut dyn Device) {
        if !core::mem::take(&mut self.services.is_stale) {
            return;
        }
        let portal = self.endpoint.listening().next().filter(|_| !self.draining);
        let wanted: BTreeSet<u64> = match portal {
            Some(_) => self.registry.ports().map(|port| port.id.guid).collect(),
            None => BTreeSet::new(),
        };
        let gone = self.services.controllers.extract_if(.., |(guid, _)| !wanted.contains(guid));
        let gone: Vec<_> = gone.collect();
        for (guid, address) in &gone {
            self.endpoint.unlisten(device, PortSpace::Service(*guid), *address);
        }
        let mut has_changed = !gone.is_empty();
        for guid in wanted {
            let is_known = self.services.controllers.iter().any(|(known, _)| *known == guid);
            let Some(portal) = portal.filter(|_| !is_known && self.services.controllers.len() < SLOTS_MAX)
            else {
                continue;
            };
            // One that cannot be listened for, as its number is someone else's, is reached by its port alone.
            if let Ok(address) = self.endpoint.listen(device, PortSpace::Service(guid), portal) {
                self.services.controllers.push((guid, address));
                has_changed = true;
            }
        }
        self.services.change_id = self.services.change_id.wrapping_add(has_changed.into());
        match (self.services.agent, portal) {
            // Somebody else may answer for the class: then nothing is told.
            (None, Some(_)) => {
                let owner = Owner(self.owner_base);
                self.services.agent = device.open_agent(owner, device::CLASS, Role::Answers).ok();
            }
            (Some(_), None) => self.close_agent(device),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// Answers for the class no more.
    pub(super) fn close_agent(&mut self, device: &mut dyn Device) {
        if let Some(agent) = self.services.agent.take() {
            device.close_agent(agent);
        }
    }

    fn answer_datagrams(&mut self, device: &mut dyn Device, agent: AgentId) {
        while let Some((from, asked)) = device.poll_datagram(agent) {
            self.answer_datagram(device, agent, from, &asked);
        }
    }

    fn answer_datagram(
        &mut self,
        device: &mut dyn Device,
        agent: AgentId,
        from: IpAddr,
        asked: &ManagementDatagram,
    ) {
        let request = Request::decode(&datagram(asked)).map_err(|Refusal(status)| status);
        let mut attribute = [0; device::ATTRIBUTE_LEN];
        let told = request.and_then(|request| self.tell(&request, &mut attribute));
        let answer = device::answer(&datagram(asked), told.map(|len| &attribute[..len]));
        let answer =
            ManagementDatagram { method: answer.method, status: answer.status, data: answer.data, ..*asked };
        self.counters.discovered += 1;
        // Who cannot be answered asks again, or gives up.
        let _ = device.send_datagram(agent, from, &answer);
    }

    /// Writes an attribute; says how long it is.
    fn tell(&self, request: &Request, out: &mut [u8; device::ATTRIBUTE_LEN]) -> Result<usize, Status> {
        match *request {
            Request::ClassPortInfo => {
                let info = ClassPortInfo { capabilities: 0, response_time: RESPONSE_TIME };
                Ok(put(out, &info.encode()))
            }
            Request::IoUnitInfo => Ok(put(out, &self.io_unit().encode())),
            Request::IoControllerProfile { slot } => {
                let guid = self.controller(slot)?;
                Ok(put(out, &self.profile(guid).encode()))
            }
            Request::ServiceEntries { slot, first, last } => {
                let guid = self.controller(slot.into())?;
                let services = self.extensions(guid).count();
                let is_sound = first <= last && usize::from(last - first) < device::SERVICES_AT_ONCE;
                if !is_sound || usize::from(last) >= services {
                    return Err(Status::NoServiceEntries);
                }
                let mut entries = ServiceEntries::default();
                let wanted = self.extensions(guid).skip(first.into()).take(usize::from(last - first) + 1);
                for (entry, extension) in entries.0.iter_mut().zip(wanted) {
                    *entry = ServiceEntry { name: ServiceName::srp(extension), id: guid };
                }
                Ok(put(out, &entries.encode()))
            }
        }
    }

    fn io_unit(&self) -> IoUnitInfo {
        let there = self.services.controllers.len() as u8;
        let mut unit = IoUnitInfo::new(self.services.change_id, there.max(SLOTS_MIN));
        (1..=there).for_each(|slot| unit.set(slot, Slot::Present));
        unit
    }

    /// The controller in a slot.
    fn controller(&self, slot: u32) -> Result<u64, Status> {
        let slots = self.services.controllers.len().max(SLOTS_MIN.into());
        let place = (slot as usize).checked_sub(1).filter(|place| *place < slots);
        let found = self.services.controllers.get(place.ok_or(Status::InvalidField)?);
        found.map(|(guid, _)| *guid).ok_or(Status::NoResponse)
    }

    fn profile(&self, guid: u64) -> IoControllerProfile {
        let mut identification = [0; 64];
        put(&mut identification, IDENTIFICATION);
        IoControllerProfile {
            guid,
            vendor: 0,
            device: 0,
            device_version: 0,
            subsystem_vendor: 0,
            subsystem: 0,
            io_class: srp::IO_CLASS,
            io_subclass: srp::IO_SUBCLASS,
            protocol: srp::PROTOCOL,
            protocol_version: srp::PROTOCOL_VERSION,
            send_depth: self.limits.requests.min(u16::MAX.into()) as u16,
            read_depth: self.limits.read_depth,
            send_len: self.limits.iu_len,
            rdma_len: Memory::BUFFER_MAX as u32,
            capabilities: Capabilities::SEND_TO
                | Capabilities::SEND_FROM
                | Capabilities::READ_FROM
                | Capabilities::WRITE_FROM,
            services: self.extensions(guid).count() as u8,
            identification,
        }
    }

    /// The identifier extensions of a controller's ports: as many as there is room to tell.
    fn extensions(&self, guid: u64) -> impl Iterator<Item = u64> {
        let its = self.registry.ports().filter(move |port| port.id.guid == guid);
        its.map(|port| port.id.extension).take(u8::MAX.into())
    }
}

fn datagram(told: &ManagementDatagram) -> Datagram {
    Datagram {
        class: told.class,
        class_version: told.class_version,
        method: told.method,
        status: told.status,
        class_specific: told.class_specific,
        transaction: told.transaction,
        attribute: told.attribute,
        modifier: told.modifier,
        data: told.data,
    }
}

/// Copies to the front of a longer place; says how much.
fn put(out: &mut [u8], bytes: &[u8]) -> usize {
    out[..bytes.len()].copy_from_slice(bytes);
    bytes.len()
}

/// Slots with controllers: no more than an endpoint listens on besides its portals.
const SLOTS_MAX: usize = 48;
/// Slots that are told of, with controllers or without.
const SLOTS_MIN: u8 = 16;
/// An answer takes a second at most, coded as 4.096 microseconds times two to this power.
const RESPONSE_TIME: u8 = 18;
const IDENTIFICATION: &[u8] = b"Weft SRP target";

//! Asking a port which SRP targets it has, by device management (InfiniBand Architecture volume 1, section 16.3; T10 SRP, annex
//! B.7): which slots have I/O controllers, what each of them is, and which services it offers.
//!
//! What it is not: it finds no ports, which takes a subnet administrator; it logs in nowhere.
//!
//! Invariants: one datagram is under way at a time, sent again until it is answered or there was time enough; an answer is to the
//! question under way, or none.

use core::net::IpAddr;
use core::time::Duration;
use stdx::env::{Env, Owner};
use stdx::time::Time;
use thiserror::Error;
use verbs::{AgentError, AgentId, Device, ManagementDatagram, Role, What};
use wire::management::Datagram;
use wire::management::device::{
    self, Attribute, IoControllerProfile, IoUnitInfo, Request, SERVICES_AT_ONCE, ServiceEntries, Slot, Status,
};
use wire::srp::{self, PortId};

/// A port being asked.
#[derive(Debug)]
pub struct Discovery {
    owner: Owner,
    address: IpAddr,
    agent: Option<AgentId>,
    question: Request,
    /// The question's number.
    transaction: u32,
    /// When it is asked (again).
    due: Time,
    deadline: Time,
    unit: Option<IoUnitInfo>,
    profile: Option<IoControllerProfile>,
    found: Vec<DiscoveredPort>,
    told: Option<Result<(), DiscoveryError>>,
    is_done: bool,
}

/// A target port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiscoveredPort {
    /// Its name.
    pub id: PortId,
    /// What InfiniBand's connection manager is asked for.
    pub service: u64,
    /// What its controller says of itself, if it is text.
    pub controller: Option<String>,
}

/// There is no answer, or none that makes sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DiscoveryError {
    /// The device has no agent for us.
    #[error("the RDMA device: {0}")]
    Agent(#[from] AgentError),
    /// No answer in time.
    #[error("the port did not answer in time: it has no device management")]
    TimedOut,
    /// The answer is a refusal.
    #[error("the port does not tell its {attribute}: {status:#06x}")]
    Refused {
        /// What was asked for.
        attribute: Attribute,
        /// The status.
        status: u16,
    },
    /// The answer is too short.
    #[error("the port's answer makes no sense")]
    Nonsense,
}

impl Discovery {
    /// Begins to ask the port at an address; for so long at most. Events of the device for `owner` go to
    /// [`Discovery::handle_device_event`].
    pub fn new(env: &mut dyn Env, owner: Owner, address: IpAddr, patience: Duration) -> Self {
        let now = env.now();
        Self {
            owner,
            address,
            agent: None,
            question: Request::IoUnitInfo,
            transaction: env.entropy() as u32,
            due: now,
            deadline: now + patience,
            unit: None,
            profile: None,
            found: Vec::new(),
            told: None,
            is_done: false,
        }
    }

    /// Sends what is to be sent.
    pub fn drive(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        if self.is_done || self.told.is_some() || self.due > env.now() {
            return;
        }
        if let Err(why) = self.ask(device) {
            self.told = Some(Err(why.into()));
        }
        self.due = env.now() + RETRY_INTERVAL;
    }

    /// An event of the device.
    pub fn handle_device_event(&mut self, device: &mut dyn Device, event: &verbs::Event) {
        let What::Datagrams(agent) = event.what else { return };
        if self.agent != Some(agent) {
            return;
        }
        while let Some((from, answer)) = device.poll_datagram(agent) {
            let answers = from == self.address && answer.transaction == u64::from(self.transaction);
            if answers
                && self.told.is_none()
                && !self.is_done
                && let Err(why) = self.take(&answer)
            {
                self.told = Some(Err(why));
            }
        }
    }

    /// When [`Discovery::handle_timeout`] and [`Discovery::drive`] want to be called.
    pub fn deadline(&self) -> Option<Time> {
        if self.is_done {
            return None;
        }
        if self.told.is_some() { Some(Time::ZERO) } else { Some(self.due.min(self.deadline)) }
    }

    /// That time has come.
    pub fn handle_timeout(&mut self, env: &mut dyn Env) {
        if env.now() >= self.deadline && self.told.is_none() && !self.is_done {
            self.told = Some(Err(DiscoveryError::TimedOut));
        }
    }

    /// The target ports, once they are known, or why they are not.
    pub fn poll(&mut self) -> Option<Result<Vec<DiscoveredPort>, DiscoveryError>> {
        let told = self.told.take()?;
        self.is_done = true;
        Some(told.map(|()| core::mem::take(&mut self.found)))
    }

    /// Gives the agent back to the device.
    pub fn free(&mut self, device: &mut dyn Device) {
        self.is_done = true;
        if let Some(agent) = self.agent.take() {
            device.close_agent(agent);
        }
    }

    fn ask(&mut self, device: &mut dyn Device) -> Result<(), AgentError> {
        let agent = match self.agent {
            Some(agent) => agent,
            None => *self.agent.insert(device.open_agent(self.owner, device::CLASS, Role::Asks)?),
        };
        let Datagram { class, class_version, method, attribute, modifier, .. } = self.question.datagram(0);
        let datagram = ManagementDatagram {
            class,
            class_version,
            method,
            status: 0,
            class_specific: 0,
            transaction: self.transaction.into(),
            attribute,
            modifier,
            data: [0; wire::management::DATA_LEN],
        };
        device.send_datagram(agent, self.address, &datagram)
    }

    /// The question is answered: the next follows, or the end.
    fn take(&mut self, answer: &ManagementDatagram) -> Result<(), DiscoveryError> {
        let bytes = answer.data.get(device::ATTRIBUTE_AT..).unwrap_or(&[]);
        let nonsense = |_| DiscoveryError::Nonsense;
        let refused = |attribute| DiscoveryError::Refused { attribute, status: answer.status };
        let is_good = answer.status == Status::Good.code();
        match self.question {
            Request::ClassPortInfo | Request::IoUnitInfo if !is_good => {
                return Err(refused(Attribute::IoUnitInfo));
            }
            Request::ClassPortInfo => self.next(Request::IoUnitInfo),
            Request::IoUnitInfo => {
                self.unit = Some(IoUnitInfo::decode(bytes).map_err(nonsense)?);
                self.next_slot(1);
            }
            Request::IoControllerProfile { slot } => {
                let profile = IoControllerProfile::decode(bytes).map_err(nonsense)?;
                // One that was there a moment ago may be gone, and others speak other protocols.
                let is_srp =
                    is_good && profile.io_class == srp::IO_CLASS && profile.protocol == srp::PROTOCOL;
                self.profile = Some(profile);
                match is_srp {
                    true => self.next_services(slot as u16, 0),
                    false => self.next_slot(slot + 1),
                }
            }
            Request::ServiceEntries { slot, first, last } => {
                let entries = ServiceEntries::decode(bytes).map_err(nonsense)?;
                if is_good {
                    self.collect(&entries, usize::from(last - first) + 1);
                }
                match last.checked_add(1) {
                    Some(next) => self.next_services(slot, next),
                    None => self.next_slot(u32::from(slot) + 1),
                }
            }
        }
        Ok(())
    }

    fn collect(&mut self, entries: &ServiceEntries, count: usize) {
        let Some(profile) = &self.profile else { return };
        for entry in entries.0.iter().take(count) {
            let Some(extension) = entry.name.srp_extension() else { continue };
            let port = DiscoveredPort {
                id: PortId { extension, guid: profile.guid },
                service: entry.id,
                controller: profile.text().filter(|text| !text.is_empty()).map(str::to_owned),
            };
            if self.found.len() < FOUND_MAX && !self.found.contains(&port) {
                self.found.push(port);
            }
        }
    }

    /// Asks for a controller's services from one on, or for the next controller.
    fn next_services(&mut self, slot: u16, first: u8) {
        let services = self.profile.map_or(0, |profile| profile.services);
        if first >= services {
            return self.next_slot(u32::from(slot) + 1);
        }
        let last = first.saturating_add(SERVICES_AT_ONCE as u8 - 1).min(services - 1);
        self.next(Request::ServiceEntries { slot, first, last });
    }

    /// Asks for the next controller there is, from a slot on.
    fn next_slot(&mut self, from: u32) {
        let is_there = |slot: &u8| self.unit.is_some_and(|unit| unit.slot(*slot) == Slot::Present);
        let slots = u8::try_from(from).ok().map(|from| from..=IoUnitInfo::SLOTS_MAX);
        match slots.and_then(|mut slots| slots.find(is_there)) {
            Some(slot) => self.next(Request::IoControllerProfile { slot: slot.into() }),
            None => self.told = Some(Ok(())),
        }
    }

    fn next(&mut self, question: Request) {
        self.question = question;
        self.transaction = self.transaction.wrapping_add(1);
        self.due = Time::ZERO;
    }
}

/// When a question is asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Target ports of one answer.
const FOUND_MAX: usize = 4096;

//! A turn of the shard: what happened is handed out, and every part does what there is to do.

use crate::Shard;
use crate::nvmf::STREAMS;
use crate::owners::Part;
use stdx::env::{Env, Event};
use stdx::time::{Time, earliest};

impl Shard {
    /// Waits until there is something to do, and does it.
    pub fn turn(&mut self, env: &mut dyn Env) {
        self.turn_by(env, None);
    }

    /// The same, but waits no longer than to that time.
    pub fn turn_by(&mut self, env: &mut dyn Env, until: Option<Time>) {
        // What was asked for since the last turn goes out before we wait for anything.
        self.flush_clients(env);
        let (others, devices) = (self.deadline_of_others(), self.devices.deadline());
        let mut events = core::mem::take(&mut self.events);
        env.poll(&mut events, earliest(earliest(others, devices), until));
        let now = env.now();
        let is_look = events.is_empty() && is_due(devices, now) && !is_due(others, now) && !self.is_ending();
        for event in events.drain(..) {
            self.handle_event(env, &event);
        }
        self.events = events;
        if !is_look && is_due(self.deadline(), now) {
            self.handle_timeout(env);
        }
        let has_told = self.turn_devices(env);
        if is_look && !has_told && is_due(self.devices.deadline(), now) && self.is_look_enough() {
            return;
        }
        self.hosts.drive(env, &mut self.devices);
        self.discoveries.drive(env, &mut self.devices);
        self.iscsi_disks.drive(env, &mut self.devices);
        self.hosts.poll(env, &mut self.volumes);
        self.iscsi_disks.poll(env, &mut self.volumes);
        self.srp_disks.drive(env, &mut self.devices);
        self.srp_disks.poll(env, &mut self.volumes);
        self.discoveries.poll(env, &mut self.devices, &mut self.hosts, &mut self.volumes);
        self.apply_changes(env);
        self.poll_nvmf(env);
        self.iscsi.poll(env, &mut self.devices);
        self.srp.poll(env, &mut self.devices);
        self.flush_clients(env);
        // Answers go out before what nobody waits for is looked after.
        self.turn_devices(env);
        self.keep_namespaces(env);
        self.keys.poll(env, &mut self.records, &self.volumes);
        self.iscsi.store_reservations(env, &mut self.records);
        self.iscsi.close_kept(env, &mut self.records);
        self.end(env);
        self.relieved = env.mem().take_relief();
    }

    /// Has those who use what others serve send what they were asked for, and those that were let go their last words.
    fn flush_clients(&mut self, env: &mut dyn Env) {
        self.hosts.flush(env, &mut self.devices);
        self.discoveries.flush(env, &mut self.devices);
        self.iscsi_disks.flush(env, &mut self.devices);
        self.srp_disks.drive(env, &mut self.devices);
        self.devices.drive_leavers(env);
    }

    /// A turn in which devices looked for what neighbours wrote, found nothing, will look again at once, and nothing else was
    /// due: true if it may end there. Whatever was changed from outside without being due is seen to in one of a few.
    const fn is_look_enough(&mut self) -> bool {
        self.looks = (self.looks + 1) % LOOKS_A_TURN;
        self.looks > 0
    }

    /// When the next [`Shard::turn`] is due even if nothing happens.
    pub fn deadline(&self) -> Option<Time> {
        earliest(self.deadline_of_others(), self.devices.deadline())
    }

    /// The same of all but the devices.
    fn deadline_of_others(&self) -> Option<Time> {
        let parts = [
            self.volumes.deadline(),
            self.hosts.deadline(),
            self.discoveries.deadline(),
            self.iscsi.server.deadline(),
            self.iscsi.target.deadline(),
            self.iscsi_disks.deadline(),
            self.srp_disks.deadline(),
            self.records.deadline(),
            self.target.deadline(),
            self.nvmf_deadline(),
            self.srp.deadline(),
            self.ending_deadline(),
            self.relieved.then_some(Time::ZERO),
        ];
        parts.into_iter().fold(None, earliest)
    }

    fn handle_event(&mut self, env: &mut dyn Env, event: &Event) {
        match Part::of(event.owner) {
            Some(Part::Nvmf) => {
                self.server.handle_event(env, &mut self.lanes.of(&mut self.target, STREAMS), event);
            }
            Some(Part::Device(place)) => self.devices.handle_event(env, place, event),
            Some(Part::Volume(place)) => self.volumes.handle_event(env, place, event),
            Some(Part::Host(place)) => self.hosts.handle_event(env, place, event),
            Some(Part::Discovery(place)) => self.discoveries.handle_event(env, place, event),
            Some(Part::Iscsi) => self.iscsi.server.handle_event(env, &mut self.iscsi.target, event),
            Some(Part::Initiator(place)) => self.iscsi_disks.handle_event(env, place, event),
            Some(Part::Record(place)) => {
                let told = self.records.handle_event(env, place, event);
                if self.keys.keeps(place) {
                    told.into_iter().for_each(|told| self.handle_key_record(env, place, told));
                } else if self.keeps_namespace(place) {
                    told.into_iter().for_each(|told| self.handle_namespace_record(env, place, told));
                } else if let Some(told) = told {
                    self.iscsi.handle_record(env, &mut self.records, &self.volumes, place, told);
                }
            }
            Some(Part::Shard) => {
                while let Some(call) = self.inbox.next() {
                    call(self, env);
                }
            }
            None => tracing::warn!(owner = event.owner.0, "an event for nobody"),
        }
    }

    fn handle_timeout(&mut self, env: &mut dyn Env) {
        self.volumes.handle_timeout(env);
        self.hosts.handle_timeout(env);
        self.discoveries.handle_timeout(env, &self.devices);
        self.target.handle_timeout(env);
        self.handle_nvmf_timeout(env);
        self.iscsi.server.handle_timeout(env, &mut self.iscsi.target);
        self.iscsi_disks.handle_timeout(env);
        self.srp_disks.handle_timeout(env);
        self.records.handle_timeout(env);
    }
}

fn is_due(deadline: Option<Time>, now: Time) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

/// One of so many turns that only looked is a whole one.
const LOOKS_A_TURN: u32 = 16;

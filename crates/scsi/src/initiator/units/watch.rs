//! Asking disks whether something has changed: a target tells of sizes, and of disks that come and go, only when it is asked
//! something.

use super::{Units, WATCH_TOKEN};
use crate::initiator::status::{Answer, answer_of};
use crate::initiator::{Carrier, Command, Data, Ending};
use stdx::env::Env;
use wire::scsi::{Cdb, Lun};

impl Units {
    /// Asks the next disk, if it is time: TEST UNIT READY is answered with a unit attention if something has changed (SPC-4,
    /// section 6.47).
    pub fn ask_next_disk(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier) {
        let (now, interval) = (env.now(), self.settings.watch_interval);
        if interval.is_zero() || self.asking || now < self.ask_at || carrier.ways() == 0 {
            return;
        }
        self.ask_at = now + interval;
        // A target without disks may get one: then it is the place where all are told of that is asked.
        let behind = self.records.range(self.asked_last.saturating_add(1)..).next();
        let number = behind.or_else(|| self.records.first_key_value()).map_or(0, |(lun, _)| *lun);
        let (lun, cdb) = (Lun::from_number(number), Cdb([0; 16]));
        if carrier.submit(env, 0, &Command { lun, cdb, data: Data::None, token: WATCH_TOKEN }).is_ok() {
            (self.asked_last, self.asking) = (number, true);
            carrier.flush(env);
        }
    }

    /// The disk says how it is.
    pub(super) fn handle_watched(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier, ending: &Ending) {
        self.asking = false;
        let changed = match answer_of(ending) {
            Answer::Attention(_) => true,
            Answer::Done(block::Status::Gone) => self.records.contains_key(&self.asked_last),
            Answer::Done(_) | Answer::Again(_) => false,
        };
        if changed && self.is_live() {
            self.begin_look(env, carrier);
        }
    }
}

//! The connection is lost: when to try again, when to give up.

use super::{Attachment, Phase};
use crate::srp::initiator::channel::ChannelEnd;
use crate::srp::initiator::event::{Failure, InitiatorEvent};
use core::time::Duration;
use stdx::env::Env;

impl Attachment {
    /// There is no connection any more, or it did not come to be.
    pub(super) fn lose(&mut self, env: &mut dyn Env, why: Failure) {
        if let Phase::Waiting { .. } | Phase::Failed = self.phase {
            return;
        }
        let was_live = self.is_live();
        let now = env.now();
        self.drop_channels();
        tracing::info!(target = %self.options.target, address = %self.options.address, %why, "connection lost");
        // A process that went without a word, and whose queue pair had our number: its connection is ended once it is seen to be
        // stale (InfiniBand, 12.9.8.3.1), so the next attempt may go better.
        if why == Failure::Channel(ChannelEnd::Refused(STALE)) && !self.was_live && self.stale < STALE_MAX {
            self.stale += 1;
            self.phase = Phase::Waiting { until: now + self.backoff.next_wait() };
            return;
        }
        if !self.was_live || self.options.loss_timeout == Some(Duration::ZERO) {
            return self.fail(why);
        }
        self.units.lose(now);
        if was_live {
            self.events.push_back(InitiatorEvent::ConnectionLost(why));
        }
        self.last_failure = why;
        self.phase = Phase::Waiting { until: now + self.backoff.next_wait() };
    }

    /// It is over.
    pub(super) fn fail(&mut self, why: Failure) {
        if self.phase == Phase::Failed {
            return;
        }
        self.drop_channels();
        self.phase = Phase::Failed;
        self.events.push_back(InitiatorEvent::Failed(why));
        self.last_failure = why;
        self.units.give_up();
    }

    fn drop_channels(&mut self) {
        if let Some(link) = &mut self.link {
            link.drop_all(false);
        }
        self.units.forget_look();
        self.look_at = None;
    }
}

/// "Stale connection", of InfiniBand's table 110.
const STALE: u16 = 10;
/// How often that is borne before the first time that we are let in.
const STALE_MAX: u32 = 6;

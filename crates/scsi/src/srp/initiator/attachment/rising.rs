//! The way up: the first channel, by which the logical units are looked at, then the other channels.
//!
//! The first channel ends whatever an earlier nexus of ours has left (section 6.2, MULTI-CHANNEL ACTION); the others join it.

use super::{Attachment, Phase};
use crate::srp::initiator::channel::{ChannelEnd, Settings, State};
use crate::srp::initiator::event::{InitiatorEvent, Stage};
use stdx::env::Env;
use wire::srp::LoginRejectReason;

impl Attachment {
    /// Begins the way up.
    pub(super) fn rise(&mut self, env: &mut dyn Env) {
        let deadline = env.now() + self.options.connect_timeout;
        self.phase = Phase::Rising { stage: Stage::Login, deadline };
        self.has_all_channels = false;
        self.open_channel();
    }

    fn open_channel(&mut self) {
        let Some(link) = &mut self.link else { return };
        let place = link.channels().len() as u16;
        link.open(Settings {
            place,
            service: self.options.service,
            initiator: self.options.initiator,
            target: self.options.target,
            joins: place > 0,
            commands_max: self.options.commands_max,
            immediate_max: if self.with_immediate { self.options.immediate_max } else { 0 },
            piece_max: self.options.piece_max,
        });
    }

    /// Goes on if the channel that the way up waits for is open.
    pub(super) fn handle_open(&mut self, env: &mut dyn Env) {
        let Phase::Rising { stage, deadline } = self.phase else { return };
        let Some(link) = &mut self.link else { return };
        if link.channels().last().is_none_or(|channel| channel.state() != State::Open) {
            return;
        }
        match stage {
            Stage::Login => {
                self.phase = Phase::Rising { stage: Stage::LogicalUnits, deadline };
                self.units.begin_look(env, link);
            }
            Stage::LogicalUnits => {}
            Stage::Channels => self.go_on_rising(env),
        }
    }

    /// The logical units are known.
    pub(super) fn handle_looked(&mut self, env: &mut dyn Env) {
        if let Phase::Rising { stage: Stage::LogicalUnits, deadline } = self.phase {
            self.phase = Phase::Rising { stage: Stage::Channels, deadline };
            self.go_on_rising(env);
        }
    }

    /// A channel has ended, or did not come to be.
    pub(super) fn handle_ended(&mut self, env: &mut dyn Env, why: ChannelEnd) {
        let Some(link) = &mut self.link else { return };
        let is_refused = matches!(why, ChannelEnd::Rejected(_) | ChannelEnd::Refused(_));
        let others_live = link.channels().split_last().is_some_and(|(_, others)| {
            !others.is_empty() && others.iter().all(|channel| channel.state() == State::Open)
        });
        match self.phase {
            // The target has not room for so many: those that there are will do.
            Phase::Rising { stage: Stage::Channels, .. } if is_refused && others_live => {
                tracing::info!(target = %self.options.target, channels = link.channels().len() - 1, %why, "fewer channels");
                link.drop_last();
                self.has_all_channels = true;
                self.go_on_rising(env);
            }
            // It takes only shorter units: then no data goes along.
            Phase::Rising { stage: Stage::Login, .. }
                if why == ChannelEnd::Rejected(LoginRejectReason::IuTooLong) && self.with_immediate =>
            {
                self.with_immediate = false;
                link.drop_last();
                self.open_channel();
            }
            Phase::Rising { .. } | Phase::Live | Phase::Waiting { .. } | Phase::Failed => {
                self.lose(env, why.into());
            }
        }
    }

    fn go_on_rising(&mut self, env: &mut dyn Env) {
        let opened = self.link.as_ref().map_or(0, |link| link.channels().len());
        if !self.has_all_channels && opened < usize::from(self.options.channels) {
            self.open_channel();
        } else {
            self.handle_risen(env);
        }
    }

    fn handle_risen(&mut self, env: &mut dyn Env) {
        let Some(link) = &mut self.link else { return };
        self.phase = Phase::Live;
        self.units.set_live(env, link);
        self.backoff.reset();
        self.stale = 0;
        self.watch(env);
        let again = core::mem::replace(&mut self.was_live, true);
        self.events.push_back(if again { InitiatorEvent::Reconnected } else { InitiatorEvent::Connected });
    }
}

//! Reads and writes that a volume does at once: no task, no copy, no outcome to wait for.
//!
//! Whatever is not plain (ordered, too long, refused, wrong in any way, or something waits to be told first) is left to
//! [`begin`](super::begin), which knows the answer to it. So this decides nothing but that a command is one of the many to
//! which nothing happens.

use super::begin::check_state;
use super::command;
use super::sbc::{force_unit_access, plain_range};
use super::unit::Unit;
use super::{Command, Target, TaskAttribute};
use block::{Io, Op};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;

impl Target {
    /// See [`Executor::perform`](super::Executor::perform).
    pub(super) fn perform_command(
        &mut self,
        env: &mut dyn Env,
        command: &Command,
        data: Span,
    ) -> Option<Span> {
        if command.attribute != TaskAttribute::Simple {
            return None;
        }
        let key = self.unhindered(command)?;
        let unit = self.units.get(key)?;
        let io = plain(unit, command, data)?;
        if unit.removed {
            return None;
        }
        let delivered = self.delivered(env, command.nexus.0);
        let data = self.units.get_mut(key)?.channel.perform(env, &io)?;
        self.count_latency(env, command.nexus.0, delivered);
        self.counters.begun += 1;
        self.counters.told += 1;
        Some(data)
    }

    /// The logical unit of a command against whose execution nothing stands.
    fn unhindered(&self, command: &Command) -> Option<Key> {
        let nexus = self.nexuses.get(command.nexus.0)?;
        let key = self.unit_at(nexus, command.lun)?;
        let unit = self.units.get(key)?;
        let row = command::find(&command.cdb).ok()?;
        let free = unit.allegiance.is_none()
            && unit.tasks.admits_simple()
            && unit.reservations.is_open()
            && nexus.attention(key).is_none()
            && self.port_refusal(nexus).is_none()
            && check_state(unit, row).is_ok();
        free.then_some(key)
    }
}

/// The volume's request for a READ or a WRITE whose range lies on the volume and is not longer than it takes at once, and
/// whose data is all there.
fn plain(unit: &Unit, command: &Command, data: Span) -> Option<Io> {
    let info = &unit.info;
    let (op, range) = plain_range(&command.cdb)?;
    let range = range.on(info).ok().filter(|range| range.blocks > 0 && range.blocks <= info.blocks_max)?;
    let len = range.bytes(info, &command.cdb).ok()?;
    let lend = op == Op::Read;
    let there = if lend { info.lends && data.is_empty() } else { data.len == len };
    let fua = force_unit_access(&command.cdb) || !lend && !unit.settings.write_cache;
    there.then_some(Io { tag: 0, op, lba: range.lba, blocks: range.blocks, fua, lend, data })
}

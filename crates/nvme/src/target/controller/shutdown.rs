//! Shutting a controller down (Base 3.6.2): what volatile caches hold is on stable storage before CSTS.SHST says complete.
//!
//! A normal and an abrupt shutdown are the same here: nothing but the flush takes time. It goes on when the host does not
//! wait for its end. Commands under way complete as they would; a host that wants to be sure of them waits for them first.

use super::super::Target;
use super::super::outstanding::{Count, Outstanding, Work};
use block::{Io, Op};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::NAMESPACE_ALL;
use wire::nvme::fabrics::{ShutdownNotification, ShutdownStatus};

impl Target {
    /// CC.SHN changed.
    pub(super) fn notify_shutdown(
        &mut self,
        env: &mut dyn Env,
        key: Key,
        old: Option<ShutdownNotification>,
        new: Option<ShutdownNotification>,
    ) {
        let Some(controller) = self.controllers.get_mut(key) else { return };
        match new {
            Some(ShutdownNotification::Normal | ShutdownNotification::Abrupt) => {
                if controller.status.shutdown == Some(ShutdownStatus::Normal) {
                    self.begin_shutdown(env, key);
                }
            }
            Some(ShutdownNotification::None) if old != new => {
                controller.status.shutdown = Some(ShutdownStatus::Normal);
                controller.shutdown = None;
            }
            Some(ShutdownNotification::None) | None => {}
        }
    }

    /// Flushes the subsystem's volumes, one after the other. Without a volatile cache among them there is nothing to do.
    fn begin_shutdown(&mut self, env: &mut dyn Env, key: Key) {
        let first = self.first_cached(key);
        let Some(controller) = self.controllers.get_mut(key) else { return };
        let (Some((id, namespace)), Some(queue)) = (first, controller.admin_queue()) else {
            controller.status.shutdown = Some(ShutdownStatus::Complete);
            return;
        };
        let Some(connection) = self.queues.get(queue).map(|queue| queue.connection) else { return };
        let flush = Outstanding {
            queue,
            controller: key,
            connection,
            slot: 0,
            command_id: 0,
            namespace_id: NAMESPACE_ALL,
            namespace,
            first_block: 0,
            buffer: Span::EMPTY,
            count: Count::Other,
            work: Work::Shutdown { flushed: id },
            given_up: None,
            changes_for: None,
        };
        let Ok(tag) = self.outstanding.insert(flush) else {
            // It cannot be promised that anything was flushed.
            controller.status.fatal = true;
            return;
        };
        controller.status.shutdown = Some(ShutdownStatus::Occurring);
        controller.shutdown = Some(tag);
        let (tag, data) = (tag.as_u64(), Span::EMPTY);
        self.give(
            env,
            namespace,
            Io { tag, op: Op::Flush, lba: 0, blocks: 0, fua: false, lend: false, data },
        );
    }

    /// The first namespace of a controller's subsystem, if any has a volatile cache.
    fn first_cached(&self, controller: Key) -> Option<(u32, Key)> {
        let subsystem = self.subsystems.get(self.controllers.get(controller)?.subsystem)?;
        let has_cache =
            |key: Key| self.namespaces.get(key).is_some_and(|namespace| namespace.info.volatile_cache);
        subsystem.active_ids().find(|&(_, key)| has_cache(key))
    }

    /// All volumes were flushed for a controller, which may be gone, or was reset since.
    pub(in super::super) fn finish_shutdown(&mut self, controller: Key, flush: Key) {
        let Some(controller) = self.controllers.get_mut(controller) else { return };
        if controller.shutdown.take_if(|shutdown| *shutdown == flush).is_some() {
            controller.status.shutdown = Some(ShutdownStatus::Complete);
        }
    }
}

//! CC and CSTS: enabling and resetting a controller (Base 3.1.3.5, 3.1.3.6, 3.5, 3.7).

use super::super::Target;
use super::{no_configuration, no_status};
use stdx::env::Env;
use stdx::slab::Key;
use wire::nvme::fabrics::{CC_COMMAND_SET_ALL, CC_COMMAND_SET_NVM, Configuration};

impl Target {
    /// The host wrote CC. What it asks for is done before the response, but for the end of I/O connections.
    pub(super) fn configure(&mut self, env: &mut dyn Env, key: Key, bits: u32) {
        let Some(controller) = self.controllers.get_mut(key) else { return };
        let new = Configuration::from_bits(bits);
        let old = core::mem::replace(&mut controller.configuration, new);
        match (old.enable, new.enable) {
            (false, true) if acceptable(&new, controller.discovery) => {
                controller.status.ready = true;
                controller.keep_alive.restart(env.now());
            }
            (false, true) => controller.status.fatal = true,
            (true, false) => self.reset(env, key),
            (true, true) | (false, false) => {}
        }
        self.notify_shutdown(env, key, old.shutdown, new.shutdown);
    }

    /// CC.EN went from 1 to 0: a controller level reset. I/O queues end with their connections; the admin queue stays;
    /// what the host had set is forgotten (Base 3.7.2).
    fn reset(&mut self, env: &mut dyn Env, key: Key) {
        self.release_events(key);
        let Some(controller) = self.controllers.get_mut(key) else { return };
        controller.configuration = Configuration { enable: false, ..no_configuration() };
        controller.status = no_status();
        controller.shutdown = None;
        controller.features.reset(env);
        controller.events.reset();
        controller.changed.clear();
        let queues: Vec<Key> = controller.io_queues().collect();
        for queue in queues {
            self.end_connection(queue);
        }
    }
}

/// True if the controller can run like this: NVM command set, 4 KiB pages, round robin, entries of 64 and 16 bytes.
/// Discovery controllers have no I/O queue whose entries could have a size.
fn acceptable(new: &Configuration, discovery: bool) -> bool {
    let sizes = (new.submission_entry_size, new.completion_entry_size);
    let sets = [CC_COMMAND_SET_NVM, CC_COMMAND_SET_ALL];
    sets.contains(&new.command_set)
        && new.page_size == 0
        && new.arbitration == 0
        && (sizes == (6, 4) || discovery && sizes == (0, 0))
}

//! What devices tell, to those whom it is for.

use super::User;
use crate::Shard;
use stdx::env::Env;

impl Shard {
    /// Has the devices do what there is to do, and hands out what they tell; true if that was anything.
    pub(crate) fn turn_devices(&mut self, env: &mut dyn Env) -> bool {
        self.devices.turn(env);
        let mut has_told = false;
        while let Some((place, owner, told)) = self.devices.poll() {
            has_told = true;
            match User::of(owner) {
                Some(User::Nvmf) => self.nvmf_rdma.handle(env, &mut self.devices, place, &told),
                Some(User::Srp) => self.srp.servers.handle(env, &mut self.devices, place, &told),
                Some(User::Iscsi) => self.iscsi.iser.handle(env, &mut self.devices, place, &told),
                Some(user @ (User::Host(_) | User::Discovery(_) | User::Initiator(_) | User::SrpDisk(_)))
                    if self.devices.handle_leaver(env, user, &told) => {}
                Some(User::Host(number)) => {
                    self.hosts.handle_told(env, &mut self.devices, number, &told);
                }
                Some(User::Discovery(number)) => {
                    self.discoveries.handle_told(env, &mut self.devices, number, &told);
                }
                Some(User::Initiator(number)) => {
                    self.iscsi_disks.handle_told(env, &mut self.devices, number, &told);
                }
                Some(User::SrpDisk(number)) => {
                    self.srp_disks.handle_told(env, &mut self.devices, number, &told);
                }
                None => tracing::warn!(owner = owner.0, "a device tells something to nobody"),
            }
        }
        has_told
    }
}

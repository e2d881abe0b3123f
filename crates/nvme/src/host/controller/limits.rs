//! Limits of the NVM command set's commands, beyond the one on transfers (NVM 4.1.5.4; Base 2.0 brought them).

use super::Controller;
use crate::host::queue::Data;
use stdx::env::Env;
use wire::nvme::Status;
use wire::nvme::admin::IdentifyRequest;
use wire::nvme::fabrics::Version;
use wire::nvme::identify::{CommandSet, NvmControllerData, Structure};
use wire::nvme::nvm::BLOCKS_MAX;

/// What a controller said of them, if it did.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::host) struct CommandLimits {
    told: bool,
    /// WZSL: a power of two of the smallest page; 0 for none.
    zero_exponent: u8,
    /// Blocks of a range, and of a Dataset Management, which here has one range: DMRSL, DMSL; 0 for none.
    discard_range_blocks: u32,
    discard_blocks: u64,
}

impl CommandLimits {
    /// The longest Write Zeroes in blocks. A controller that did not tell may mean its limit on transfers.
    pub fn zero_blocks_max(&self, page_size_min: u8, block_size: u32, transfer_blocks_max: u32) -> u32 {
        if self.told { blocks_of(self.zero_exponent, page_size_min, block_size) } else { transfer_blocks_max }
    }

    /// The longest Dataset Management of one range in blocks.
    pub fn discard_blocks_max(&self) -> u32 {
        let range = if self.discard_range_blocks == 0 { u32::MAX } else { self.discard_range_blocks };
        let all = if self.discard_blocks == 0 { u64::MAX } else { self.discard_blocks };
        range.min(all.min(u32::MAX.into()) as u32)
    }
}

/// A power of two of the smallest page in blocks, as far as a command can say them; 0 for no limit.
pub(super) fn blocks_of(exponent: u8, page_size_min: u8, block_size: u32) -> u32 {
    if exponent == 0 {
        return BLOCKS_MAX;
    }
    let shift = u32::from(exponent) + u32::from(page_size_min) + PAGE_SHIFT;
    let bytes = 1_u64.checked_shl(shift).unwrap_or(u64::MAX);
    (bytes / u64::from(block_size)).clamp(1, u64::from(BLOCKS_MAX)) as u32
}

impl Controller {
    /// Whether the controller is of the time that these limits are: earlier ones call the question wrong.
    pub(super) fn tells_limits(&self) -> bool {
        let version = self.data.as_ref().map_or(0, |data| data.version.get());
        self.options.io_queues > 0 && version >= Version::V2_0.bits()
    }

    pub(super) fn request_limits(&mut self, env: &mut dyn Env) {
        let structure = Structure::CommandSetController.code();
        let request =
            IdentifyRequest { structure, command_set: CommandSet::Nvm.code(), ..Default::default() };
        self.send_step(env, &request.command(0, 0), Data::FromController(self.page));
    }

    /// A controller that does not tell them has none that we know of.
    pub(super) fn handle_limits(&mut self, env: &mut dyn Env, status: Status) {
        self.limits = CommandLimits::default();
        let data = NvmControllerData::view(env.mem().bytes(self.page)).ok().filter(|_| status.is_success());
        if let Some(data) = data {
            self.limits = CommandLimits {
                told: true,
                zero_exponent: data.write_zeroes_size_limit,
                discard_range_blocks: data.dataset_range_size_limit.get(),
                discard_blocks: data.dataset_size_limit.get(),
            };
        }
    }
}

/// The unit of the limits is 2^(12 + MPSMIN) bytes.
const PAGE_SHIFT: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_what_a_command_can_say() {
        let untold = CommandLimits::default();
        assert_eq!((untold.zero_blocks_max(0, 512, 64), untold.discard_blocks_max()), (64, u32::MAX));
        let none = CommandLimits { told: true, ..untold };
        assert_eq!((none.zero_blocks_max(0, 512, 64), none.discard_blocks_max()), (BLOCKS_MAX, u32::MAX));
    }

    #[test]
    fn the_tighter_limit_counts() {
        let limits =
            CommandLimits { told: true, zero_exponent: 3, discard_range_blocks: 100, discard_blocks: 70 };
        assert_eq!(limits.zero_blocks_max(1, 4096, 1), 16);
        assert_eq!(limits.discard_blocks_max(), 70);
        assert_eq!(blocks_of(255, 15, 512), BLOCKS_MAX);
    }
}

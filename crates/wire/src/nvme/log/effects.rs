//! Commands Supported and Effects, and Supported Log Pages (Base 5.16.1.6, 5.16.1.1).

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::page;

/// For every opcode whether it is supported and what it changes: 4,096 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct EffectsLog {
    /// Admin commands by opcode: [`CommandEffects`].
    pub admin: [U32; 256],
    /// I/O commands by opcode: [`CommandEffects`].
    pub io: [U32; 256],
    reserved2048: [u8; 2048],
}

bits! {
    /// What a command does (Base figure 211).
    pub struct CommandEffects: u32 {
        /// Supported (CSUPP).
        SUPPORTED = 1 << 0;
        /// Changes the content of blocks (LBCC).
        BLOCK_CONTENT_CHANGE = 1 << 1;
        /// Changes the capabilities of a namespace (NCC).
        NAMESPACE_CAPABILITY_CHANGE = 1 << 2;
        /// Changes which namespaces there are (NIC).
        NAMESPACE_INVENTORY_CHANGE = 1 << 3;
        /// Changes the capabilities of the controller (CCC).
        CONTROLLER_CAPABILITY_CHANGE = 1 << 4;
        /// To be submitted while no other command to its namespace is outstanding (CSE 001b).
        ALONE_IN_NAMESPACE = 1 << 16;
        /// To be submitted while no other command to any namespace is outstanding (CSE 010b).
        ALONE = 2 << 16;
        /// Concerns a namespace (CSP).
        NAMESPACE_SCOPE = 1 << 20;
        /// Concerns the controller (CSP).
        CONTROLLER_SCOPE = 1 << 21;
    }
}

/// For every log page whether it is supported: 1,024 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SupportedLogPages {
    /// By log page identifier: bit 0 supported, bit 1 offsets may be indexes, bits 31:16 page specific.
    pub pages: [U32; 256],
}

impl EffectsLog {
    /// Says what the admin command with this opcode does.
    pub const fn set_admin(&mut self, opcode: u8, effects: CommandEffects) {
        self.admin[opcode as usize] = U32::new(effects.bits());
    }

    /// Says what the I/O command with this opcode does.
    pub const fn set_io(&mut self, opcode: u8, effects: CommandEffects) {
        self.io[opcode as usize] = U32::new(effects.bits());
    }
}

page!(EffectsLog, 4096);
page!(SupportedLogPages, 1024);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_stand_at_their_opcode() {
        let mut log = EffectsLog::zeroed();
        log.set_io(0x01, CommandEffects::SUPPORTED | CommandEffects::BLOCK_CONTENT_CHANGE);
        log.set_admin(0xff, CommandEffects::ALONE);
        let mut bytes = [0; EffectsLog::LEN];
        log.encode(&mut bytes).unwrap();
        assert_eq!(bytes[1028..1032], [3, 0, 0, 0]);
        assert_eq!(bytes[1020..1024], [0, 0, 2, 0]);
    }
}

//! The command descriptor block, before it is understood.

/// A command descriptor block (SAM-5, section 5.2): up to 16 bytes. Longer ones (variable length, operation code 7Fh) are
/// cut here: no device of ours takes them, and the operation code is enough to say so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cdb(pub [u8; 16]);

impl Cdb {
    /// The operation code.
    pub const fn operation_code(&self) -> u8 {
        self.0[0]
    }
}

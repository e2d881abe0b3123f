//! What a neighbourhood has seen.

/// Counts since the device was opened.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Records written.
    pub sent_records: u64,
    /// Records taken.
    pub received_records: u64,
    /// Bytes that were copied once, from where they lay.
    pub direct_bytes: u64,
    /// Bytes that went through a ring, and were copied twice.
    pub ring_bytes: u64,
    /// Records of a neighbour that meant nothing, or not what they may.
    pub malformed: u64,
    /// Records for queue pairs that are not there, or not for their sender.
    pub unroutable: u64,
    /// Links that came to be.
    pub linked: u64,
    /// Links that were refused: another user's, or of another kind.
    pub refused: u64,
    /// Links that ended, with the queue pairs they served.
    pub broken: u64,
    /// Sleeping neighbours that were woken.
    pub bells: u64,
}

//! What a logical unit says of itself, as bytes: the parts of its answers that we use.
//!
//! An answer that is short says nothing of what would stand behind its end: those fields are zero.

use super::records::{Caching, Capacity, Limits, Provisioning};
use block::Identity;
use wire::scsi::{Cdb, Lun};

/// A question that tells something about the target or a logical unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// REPORT LUNS (SPC-4, section 6.33).
    Luns,
    /// Standard INQUIRY data (SPC-4, section 6.6.2).
    Inquiry,
    /// The list of VPD pages (SPC-4, section 7.8.15).
    Pages,
    /// Device Identification (SPC-4, section 7.8.6).
    Identification,
    /// Block Limits (SBC-3, section 6.6.4).
    Limits,
    /// Logical Block Provisioning (SBC-3, section 6.6.5).
    Provisioning,
    /// READ CAPACITY (16).
    Capacity,
    /// READ CAPACITY (10), where there is no longer one.
    ShortCapacity,
    /// The Caching mode page.
    Caching,
}

impl Question {
    /// The command, and how many bytes of answer there is room for.
    pub fn command(self) -> (Cdb, usize) {
        let mut cdb = [0; 16];
        let vital = |cdb: &mut [u8; 16], page: u8| {
            (cdb[0], cdb[1], cdb[2]) = (INQUIRY, 1, page);
            cdb[3..5].copy_from_slice(&VITAL_LEN.to_be_bytes());
            usize::from(VITAL_LEN)
        };
        let len = match self {
            Question::Luns => {
                cdb[0] = 0xa0;
                cdb[6..10].copy_from_slice(&(ANSWER_LEN as u32).to_be_bytes());
                ANSWER_LEN
            }
            Question::Inquiry => {
                (cdb[0], cdb[4]) = (INQUIRY, 96);
                96
            }
            Question::Pages => vital(&mut cdb, 0x00),
            Question::Identification => vital(&mut cdb, 0x83),
            Question::Limits => vital(&mut cdb, 0xb0),
            Question::Provisioning => vital(&mut cdb, 0xb2),
            Question::Capacity => {
                (cdb[0], cdb[1], cdb[13]) = (0x9e, 0x10, 32);
                32
            }
            Question::ShortCapacity => {
                cdb[0] = 0x25;
                8
            }
            Question::Caching => {
                // No block descriptors; the page 08h as it is now.
                (cdb[0], cdb[1], cdb[2], cdb[4]) = (0x1a, 0x08, 0x08, 192);
                192
            }
        };
        (Cdb(cdb), len)
    }
}

/// The logical units of a REPORT LUNS answer that have single level numbers, at most `max`, in order.
pub(super) fn luns(answer: &[u8], max: usize) -> Vec<u16> {
    let len = (number(answer, 0, 4) as usize).min(answer.len().saturating_sub(8));
    let entries = answer.get(8..8 + len).unwrap_or_default().chunks_exact(8);
    let numbers = entries.filter_map(|entry| Lun(entry.try_into().ok()?).single_level());
    let mut luns: Vec<u16> = numbers.take(max).collect();
    luns.sort_unstable();
    luns.dedup();
    luns
}

/// True if INQUIRY data is of a disk that is there: peripheral qualifier 0, device type 0.
pub(super) fn is_disk(answer: &[u8]) -> bool {
    answer.first() == Some(&0)
}

/// True if a list of VPD pages has this one.
pub(super) fn has_page(answer: &[u8], page: u8) -> bool {
    vital(answer, 0x00).contains(&page)
}

/// The longest-lived name of the logical unit: a UUID before NAA before EUI-64.
pub(super) fn identity(answer: &[u8]) -> Option<Identity> {
    let mut rest = vital(answer, 0x83);
    let mut best: Option<(u8, Identity)> = None;
    while let [_, kind, _, len, ..] = *rest {
        let end = 4 + usize::from(len);
        let Some(designator) = rest.get(4..end) else { break };
        rest = &rest[end..];
        // Association 0: the name is of the logical unit, not of its port or target.
        if kind & 0x30 != 0 {
            continue;
        }
        let named = match (kind & 0x0f, designator) {
            (0xa, [_, _, uuid @ ..]) => Some((3, uuid)),
            (0x3, naa) => Some((2, naa)),
            (0x2, eui) => Some((1, eui)),
            _unused => None,
        };
        let Some((rank, name)) = named.filter(|(_, name)| (8..=16).contains(&name.len())) else { continue };
        let mut identity = [0; 16];
        identity[..name.len()].copy_from_slice(name);
        if best.is_none_or(|(best_rank, _)| rank > best_rank) {
            best = Some((rank, Identity(identity)));
        }
    }
    best.map(|(_, identity)| identity)
}

/// What the Block Limits page says.
pub(super) fn limits(answer: &[u8]) -> Limits {
    let page = if answer.get(1) == Some(&0xb0) { answer } else { &[] };
    Limits {
        transfer_blocks_max: number(page, 8, 4) as u32,
        unmap_blocks_max: number(page, 20, 4) as u32,
        unmap_descriptors_max: number(page, 24, 4) as u32,
        write_same_blocks_max: number(page, 36, 8),
    }
}

/// What the Logical Block Provisioning page says.
pub(super) fn provisioning(answer: &[u8]) -> Provisioning {
    let flags = if answer.get(1) == Some(&0xb2) { number(answer, 5, 1) } else { 0 };
    Provisioning { unmap: flags & 0x80 != 0, write_same: flags & 0x40 != 0, reads_zero: flags & 0x04 != 0 }
}

/// What READ CAPACITY (16) says.
pub(super) fn capacity(answer: &[u8]) -> Capacity {
    let flags = number(answer, 14, 1);
    Capacity {
        blocks: number(answer, 0, 8).saturating_add(1),
        block_size: number(answer, 8, 4) as u32,
        physical_exponent: number(answer, 13, 1) as u8 & 0x0f,
        lowest_aligned: number(answer, 14, 2) as u16 & 0x3fff,
        managed: flags & 0x80 != 0,
        protected: number(answer, 12, 1) & 1 != 0,
        long: true,
    }
}

/// What READ CAPACITY (10) says.
pub(super) fn short_capacity(answer: &[u8]) -> Capacity {
    let (blocks, block_size) = (number(answer, 0, 4) + 1, number(answer, 4, 4) as u32);
    Capacity { blocks, block_size, ..Capacity::default() }
}

/// What MODE SENSE (6) says: its header, then the page, if it is the one.
pub(super) fn caching(answer: &[u8]) -> Caching {
    let header = number(answer, 2, 1);
    let page = answer.get(4 + number(answer, 3, 1) as usize..).unwrap_or_default();
    let is_caching = page.first().is_some_and(|code| code & 0x3f == 0x08);
    Caching {
        read_only: header & 0x80 != 0,
        force_unit_access: header & 0x10 != 0,
        write_back: is_caching && number(page, 2, 1) & 0x04 != 0,
    }
}

/// What stands behind the header of a VPD page, if it is the one.
fn vital(answer: &[u8], page: u8) -> &[u8] {
    let len = number(answer, 2, 2) as usize;
    let behind = answer.get(4..).unwrap_or_default();
    if answer.get(1) == Some(&page) { &behind[..len.min(behind.len())] } else { &[] }
}

/// A big-endian number of `len` bytes, at most 8; zero if the answer ends before it does.
fn number(answer: &[u8], at: usize, len: usize) -> u64 {
    let bytes = answer.get(at..at + len).unwrap_or_default();
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

const INQUIRY: u8 = 0x12;
/// How much of a VPD page we read.
const VITAL_LEN: u16 = 1024;
/// Bytes of the longest answer.
pub(super) const ANSWER_LEN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_answers_say_nothing() {
        for len in 0..4 {
            let answer = &[0xff; 4][..len];
            assert_eq!(luns(answer, 9), []);
            assert!(identity(answer).is_none() && !has_page(answer, 0xb0));
            assert_eq!(limits(answer).transfer_blocks_max, 0);
            assert!(!provisioning(answer).unmap);
        }
        assert_eq!(capacity(&[0xff; 8]).blocks, u64::MAX);
        assert!(!caching(&[0, 0, 0, 0xff]).write_back);
    }

    #[test]
    fn answers_that_lie_about_their_length_are_read_to_their_end() {
        let mut answer = vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        answer.extend([0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(luns(&answer, 9), [3]);
        assert_eq!(identity(&[0, 0x83, 0xff, 0xff, 1, 3, 0, 0xff, 1, 2]), None);
    }

    #[test]
    fn the_name_of_the_logical_unit_is_the_longest_lived() {
        let port = [0x01, 0x13, 0, 8, 9, 9, 9, 9, 9, 9, 9, 9];
        let eui = [0x01, 0x02, 0, 8, 1, 1, 1, 1, 1, 1, 1, 1];
        let naa = [0x01, 0x03, 0, 8, 0x50, 2, 2, 2, 2, 2, 2, 2];
        let designators = [port, eui, naa].concat();
        let mut page = vec![0, 0x83, 0, designators.len() as u8];
        page.extend(designators);
        let mut expected = [0; 16];
        expected[..8].copy_from_slice(&[0x50, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(identity(&page), Some(Identity(expected)));
    }

    #[test]
    fn a_mode_page_is_found_behind_its_header() {
        let answer = [23, 0, 0x90, 0, 0x88, 18, 0x04];
        let found = caching(&answer);
        assert!(found.read_only && found.force_unit_access && found.write_back);
        assert!(!caching(&[23, 0, 0, 0, 0x0a, 18, 0x04]).write_back);
    }
}

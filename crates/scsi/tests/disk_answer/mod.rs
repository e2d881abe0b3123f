//! What a disk of a script tells of itself.

use wire::scsi::Cdb;

/// The disk: one logical unit, thin, of 65,536 blocks of 4 KiB, with a cache.
pub fn disk_answer(cdb: &Cdb) -> Option<Vec<u8>> {
    let cdb = cdb.0;
    Some(match (cdb[0], cdb[1], cdb[2]) {
        // TEST UNIT READY: nothing new.
        (0x00, ..) => Vec::new(),
        (0xa0, ..) => [&[0, 0, 0, 8, 0, 0, 0, 0][..], &[0; 8]].concat(),
        (0x12, 0, _) => [&[0, 0, 6, 2, 31][..], &[b' '; 31]].concat(),
        (0x12, 1, 0x00) => vec![0, 0x00, 0, 4, 0x00, 0x83, 0xb0, 0xb2],
        (0x12, 1, 0x83) => vec![0, 0x83, 0, 12, 1, 3, 0, 8, 0x50, 1, 2, 3, 4, 5, 6, 7],
        (0x12, 1, 0xb0) => {
            let mut page = vec![0; 64];
            page[..4].copy_from_slice(&[0, 0xb0, 0, 60]);
            page[8..12].copy_from_slice(&256_u32.to_be_bytes());
            page[20..24].copy_from_slice(&1000_u32.to_be_bytes());
            page[24..28].copy_from_slice(&1_u32.to_be_bytes());
            page
        }
        (0x12, 1, 0xb2) => vec![0, 0xb2, 0, 4, 0, 0xe4, 2, 0],
        (0x9e, 0x10, _) => {
            let mut data = vec![0; 32];
            data[..8].copy_from_slice(&65_535_u64.to_be_bytes());
            data[8..12].copy_from_slice(&4096_u32.to_be_bytes());
            data[14] = 0xc0;
            data
        }
        (0x1a, ..) => vec![23, 0, 0x10, 0, 0x08, 18, 0x04],
        _script => return None,
    })
}

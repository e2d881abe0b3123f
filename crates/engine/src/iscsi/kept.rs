//! What outlives a power loss of logical units, each unit's in a file: persistent reservations (APTPL), and saved mode pages.
//!
//! A logical unit is served when its file was read, and a command that changes what is kept is answered when that is
//! stored (SPC-4, section 5.13.5).

use super::{Iscsi, IscsiError};
use crate::records::{RECORD_LEN_MAX, Records, Told};
use crate::volumes::Volumes;
use scsi::iscsi::IscsiName;
use scsi::target::{NexusName, Registrant, ReservationState, SavedMode, UnitConfig};
use std::path::{Path, PathBuf};
use stdx::env::Env;
use wire::scsi::TransportId;
use wire::scsi::reservation::PersistentType;

/// Who waits for a logical unit to be served.
pub(crate) type Waiting = Box<dyn FnOnce(Result<u16, IscsiError>) + Send>;

/// A logical unit whose reservations are kept.
pub(super) struct Kept {
    record: u32,
    path: PathBuf,
    node: IscsiName,
    stage: Stage,
}

enum Stage {
    /// The file is read before it is served.
    Reading {
        volume: String,
        config: UnitConfig,
        then: Waiting,
    },
    Served(u16),
}

impl core::fmt::Debug for Kept {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Kept").field("path", &self.path).field("node", &self.node).finish_non_exhaustive()
    }
}

impl Iscsi {
    /// Begins to serve a volume as a logical unit whose reservations are kept in a file.
    pub(crate) fn add_kept_lun(
        &mut self,
        env: &mut dyn Env,
        records: &mut Records,
        lun: (&IscsiName, &str, UnitConfig),
        path: &Path,
        then: Waiting,
    ) {
        let (node, volume, config) = lun;
        if records.is_open(path) {
            return then(Err(IscsiError::FileInUse));
        }
        let record = match records.open(env, path) {
            Ok(record) => record,
            Err(why) => return then(Err(IscsiError::File(why))),
        };
        let stage = Stage::Reading { volume: volume.into(), config, then };
        self.kept.push(Kept { record, path: path.into(), node: node.clone(), stage });
    }

    /// The file that keeps the reservations of a logical unit, if one does.
    pub fn reservation_file(&self, node: &IscsiName, lun: u16) -> Option<&Path> {
        self.kept_lun(node, lun).map(|kept| kept.path.as_path())
    }

    pub(crate) fn handle_record(
        &mut self,
        env: &mut dyn Env,
        records: &mut Records,
        volumes: &Volumes,
        record: u32,
        told: Told,
    ) {
        let Some(at) = self.kept.iter().position(|kept| kept.record == record) else { return };
        match told {
            Told::Read(read) => {
                let kept = self.kept.swap_remove(at);
                let Kept { path, node, stage: Stage::Reading { volume, config, then }, .. } = kept else {
                    return;
                };
                let served = read
                    .map_err(IscsiError::File)
                    .and_then(|bytes| bytes.map_or_else(|| Ok(Default::default()), |bytes| decode(&bytes)))
                    .and_then(|(state, mode)| {
                        let config = UnitConfig { aptpl: true, ..config };
                        let lun = self.add_lun(volumes, &node, &volume, config)?;
                        let device = self.device(&node)?;
                        self.target.restore_reservations(device, lun, state)?;
                        mode.map_or(Ok(()), |mode| self.target.restore_mode(device, lun, mode))?;
                        Ok(lun)
                    });
                match &served {
                    Ok(lun) => self.kept.push(Kept { record, path, node, stage: Stage::Served(*lun) }),
                    Err(_) => records.close(env, record),
                }
                then(served);
            }
            Told::Stored(stored) => {
                if !stored {
                    tracing::error!(file = %self.kept[at].path.display(), "reservations and mode pages cannot be stored");
                }
                let Stage::Served(lun) = self.kept[at].stage else { return };
                let node = self.kept[at].node.clone();
                if let Ok(device) = self.device(&node) {
                    // A logical unit that was removed meanwhile needs to be told nothing.
                    let _ = self.target.reservations_stored(device, lun, stored);
                }
            }
        }
    }

    /// Stores what changed.
    pub(crate) fn store_reservations(&mut self, env: &mut dyn Env, records: &mut Records) {
        while let Some((device, lun)) = self.target.poll_reservation_change() {
            let node = self.server.registry().nodes().find(|node| node.device == device);
            let kept = node.and_then(|node| self.kept_lun(&node.name, lun));
            let state = self.target.reservation_state(device, lun);
            let mode = self.target.saved_mode(device, lun).ok().flatten();
            match (kept, state) {
                (Some(kept), Ok(state)) => {
                    let (record, bytes) = (kept.record, encode(state, mode));
                    match bytes {
                        Some(bytes) => records.store(env, record, bytes.into()),
                        None => drop(self.target.reservations_stored(device, lun, false)),
                    }
                }
                // Nobody keeps it: it says of itself that it does not outlive a power loss.
                _ => drop(self.target.reservations_stored(device, lun, false)),
            }
        }
    }

    /// Closes the files of logical units that are served no more.
    pub(crate) fn close_kept(&mut self, env: &mut dyn Env, records: &mut Records) {
        let luns = &self.luns;
        self.kept.retain(|kept| {
            let is_served = match kept.stage {
                Stage::Reading { .. } => true,
                Stage::Served(lun) => luns.iter().any(|one| one.node == kept.node && one.number == lun),
            };
            if !is_served {
                records.close(env, kept.record);
            }
            is_served
        });
    }

    fn kept_lun(&self, node: &IscsiName, lun: u16) -> Option<&Kept> {
        let is_it = |kept: &&Kept| kept.node == *node && matches!(kept.stage, Stage::Served(of) if of == lun);
        self.kept.iter().find(is_it)
    }
}

/// Version, type of the reservation (0 for none), place of its holder, how many registrants, the mode; and the registrants: key,
/// port, TransportID. `None` if they are too many to be kept.
fn encode(state: &ReservationState, mode: Option<SavedMode>) -> Option<Vec<u8>> {
    let registrants = if state.persist { state.registrants.as_slice() } else { &[] };
    let held = state.reservation.filter(|_| state.persist);
    let holder = held.and_then(|(_, holder)| registrants.iter().position(|one| one.nexus == holder));
    let kind = held.map_or(0, |(kind, _)| kind.code());
    let mut bytes = vec![VERSION, kind];
    bytes.extend_from_slice(&u16::try_from(holder.unwrap_or(0)).ok()?.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(registrants.len()).ok()?.to_be_bytes());
    bytes.push(mode.map_or(NO_MODE, SavedMode::code));
    for Registrant { nexus, key } in registrants {
        bytes.extend_from_slice(&key.to_be_bytes());
        bytes.extend_from_slice(&nexus.target_port.to_be_bytes());
        bytes.extend_from_slice(nexus.initiator.as_bytes());
    }
    (bytes.len() <= RECORD_LEN_MAX).then_some(bytes)
}

fn decode(bytes: &[u8]) -> Result<(ReservationState, Option<SavedMode>), IscsiError> {
    parse(bytes).ok_or(IscsiError::FileContents)
}

fn parse(bytes: &[u8]) -> Option<(ReservationState, Option<SavedMode>)> {
    let number = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (kind, holder, count) = (*bytes.get(1)?, number(2)?, number(4)?);
    let (mode, mut rest) = match bytes[0] {
        WITHOUT_MODE => (None, &bytes[6..]),
        VERSION => {
            let (&mode, rest) = bytes[6..].split_first()?;
            (if mode == NO_MODE { None } else { Some(SavedMode::from_code(mode)?) }, rest)
        }
        _ => return None,
    };
    let mut registrants = Vec::new();
    for _ in 0..count {
        let (key, behind) = rest.split_at_checked(8)?;
        let (target_port, behind) = behind.split_at_checked(2)?;
        let (initiator, len) = TransportId::read(behind).ok()?;
        let target_port = u16::from_be_bytes(target_port.try_into().ok()?);
        let key = u64::from_be_bytes(key.try_into().ok()?);
        registrants.push(Registrant { nexus: NexusName { initiator, target_port }, key });
        rest = behind.get(len..)?;
    }
    let reservation = match kind {
        0 => None,
        kind => Some((PersistentType::from_code(kind)?, registrants.get(usize::from(holder))?.nexus)),
    };
    let persist = !registrants.is_empty();
    Some((ReservationState { generation: 0, registrants, reservation, persist }, mode))
}

const VERSION: u8 = 2;
/// The version before mode pages could be saved.
const WITHOUT_MODE: u8 = 1;
/// In the place of the mode: none was saved.
const NO_MODE: u8 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> ReservationState {
        let nexus = |port: u16| NexusName {
            initiator: TransportId::iscsi("iqn.2026-01.org.weft:a", [0x80, 1, 2, 3, 0, port as u8]),
            target_port: port,
        };
        let registrants =
            vec![Registrant { nexus: nexus(1), key: 7 }, Registrant { nexus: nexus(2), key: 8 }];
        let reservation = Some((PersistentType::ExclusiveAccess, nexus(2)));
        ReservationState { generation: 0, registrants, reservation, persist: true }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mode = SavedMode::from_code(0x35);
        let bytes = encode(&state(), mode).expect("few enough");
        assert_eq!(decode(&bytes), Ok((state(), mode)));
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), Err(IscsiError::FileContents), "cut off at {len}");
        }
    }

    #[test]
    fn what_is_not_to_persist_is_not_kept() {
        let bytes = encode(&ReservationState { persist: false, ..state() }, None).expect("few enough");
        assert_eq!(decode(&bytes), Ok((ReservationState::default(), None)));
    }

    #[test]
    fn what_the_version_before_kept_is_understood() {
        let mut bytes = encode(&state(), None).expect("few enough");
        bytes[0] = WITHOUT_MODE;
        bytes.remove(6);
        assert_eq!(decode(&bytes), Ok((state(), None)));
    }
}

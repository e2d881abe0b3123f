//! Reservations that persist through power loss (PTPL): each namespace's in a file.
//!
//! A namespace is served when its file was read, and a command that changes what is kept is answered when that is stored
//! (Base 8.19).

use super::NamespaceError;
use crate::Shard;
use crate::records::{RECORD_LEN_MAX, Told};
use nvme::target::{NamespaceConfig, Registrant, ReservationState};
use std::path::{Path, PathBuf};
use stdx::env::Env;
use wire::nvme::Nqn;
use wire::nvme::fabrics::HostId;
use wire::nvme::reservation::ReservationType;

/// Who waits for a namespace to be served.
type Waiting = Box<dyn FnOnce(Result<u32, NamespaceError>) + Send>;

/// A namespace whose reservations are kept.
pub(super) struct Kept {
    record: u32,
    path: PathBuf,
    subsystem: Nqn,
    stage: Stage,
}

enum Stage {
    /// The file is read before it is served.
    Reading {
        volume: String,
        config: NamespaceConfig,
        then: Waiting,
    },
    Served(u32),
}

impl core::fmt::Debug for Kept {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Kept")
            .field("path", &self.path)
            .field("subsystem", &self.subsystem)
            .finish_non_exhaustive()
    }
}

impl Shard {
    /// Serves a volume as a namespace whose reservations are kept in a file; `then` hears when that was read and the volume
    /// is served, and which identifier it got.
    pub fn add_kept_namespace(
        &mut self,
        env: &mut dyn Env,
        namespace: (&Nqn, &str, NamespaceConfig),
        path: &Path,
        then: impl FnOnce(Result<u32, NamespaceError>) + Send + 'static,
    ) {
        let (subsystem, volume, config) = namespace;
        if self.records.is_open(path) {
            return then(Err(NamespaceError::FileInUse));
        }
        let record = match self.records.open(env, path) {
            Ok(record) => record,
            Err(why) => return then(Err(NamespaceError::File(why))),
        };
        let stage = Stage::Reading { volume: volume.into(), config, then: Box::new(then) };
        self.exports.kept.push(Kept { record, path: path.into(), subsystem: *subsystem, stage });
    }

    /// The file that keeps the reservations of a namespace, if one does.
    pub fn reservation_file(&self, subsystem: &Nqn, nsid: u32) -> Option<&Path> {
        self.kept_namespace(subsystem, nsid).map(|kept| kept.path.as_path())
    }

    /// True if the record is one of a namespace.
    pub(crate) fn keeps_namespace(&self, record: u32) -> bool {
        self.exports.kept.iter().any(|kept| kept.record == record)
    }

    /// What became of the record of a namespace.
    pub(crate) fn handle_namespace_record(&mut self, env: &mut dyn Env, record: u32, told: Told) {
        let Some(at) = self.exports.kept.iter().position(|kept| kept.record == record) else { return };
        match told {
            Told::Read(read) => {
                let Kept { path, subsystem, stage: Stage::Reading { volume, config, then }, .. } =
                    self.exports.kept.swap_remove(at)
                else {
                    return;
                };
                let state = match read {
                    Ok(bytes) => bytes.map_or(Ok(ReservationState::default()), |bytes| decode(&bytes)),
                    Err(why) => Err(NamespaceError::File(why)),
                };
                let served = state.and_then(|state| {
                    let config = NamespaceConfig { ptpl: true, ..config };
                    let nsid = self.add_namespace(&subsystem, &volume, config)?;
                    self.target.restore_reservations(&subsystem, nsid, state)?;
                    Ok(nsid)
                });
                match &served {
                    Ok(nsid) => {
                        let stage = Stage::Served(*nsid);
                        self.exports.kept.push(Kept { record, path, subsystem, stage });
                    }
                    Err(_) => self.records.close(env, record),
                }
                then(served);
            }
            Told::Stored(stored) => {
                let kept = &self.exports.kept[at];
                if !stored {
                    tracing::error!(file = %kept.path.display(), "reservations cannot be stored");
                }
                let Stage::Served(nsid) = kept.stage else { return };
                // A namespace that was removed meanwhile needs to be told nothing.
                let _ = self.target.reservations_stored(&kept.subsystem, nsid, stored);
            }
        }
    }

    /// Stores what changed, and closes the files of namespaces that are served no more.
    pub(crate) fn keep_namespaces(&mut self, env: &mut dyn Env) {
        while let Some((subsystem, nsid)) = self.target.poll_reservation_change() {
            let record = self.kept_namespace(&subsystem, nsid).map(|kept| kept.record);
            let bytes = self.target.reservation_state(&subsystem, nsid).ok().and_then(encode);
            match (record, bytes) {
                (Some(record), Some(bytes)) => self.records.store(env, record, bytes.into()),
                // Nobody keeps it, or it is too much: it does not outlive a power loss.
                _ => drop(self.target.reservations_stored(&subsystem, nsid, false)),
            }
        }
        let (exports, records) = (&self.exports.served, &mut self.records);
        self.exports.kept.retain(|kept| {
            let is_served = match kept.stage {
                Stage::Reading { .. } => true,
                Stage::Served(nsid) => {
                    exports.iter().any(|one| one.subsystem == kept.subsystem && one.nsid == nsid)
                }
            };
            if !is_served {
                records.close(env, kept.record);
            }
            is_served
        });
    }

    fn kept_namespace(&self, subsystem: &Nqn, nsid: u32) -> Option<&Kept> {
        let is_it = |kept: &&Kept| {
            kept.subsystem == *subsystem && matches!(kept.stage, Stage::Served(of) if of == nsid)
        };
        self.exports.kept.iter().find(is_it)
    }
}

/// Version, type of the reservation (0 for none), place of its holder, how many registrants, generation; then the
/// registrants: key, host identifier. `None` if they are too many to be kept.
fn encode(state: &ReservationState) -> Option<Vec<u8>> {
    let registrants = if state.persist { state.registrants.as_slice() } else { &[] };
    let held = state.reservation.filter(|_| state.persist);
    let holder = held.and_then(|(_, holder)| registrants.iter().position(|one| one.host == holder));
    let mut bytes = vec![VERSION, u8::from(state.persist), held.map_or(0, |(kind, _)| kind.code())];
    bytes.extend_from_slice(&u16::try_from(holder.unwrap_or(0)).ok()?.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(registrants.len()).ok()?.to_be_bytes());
    bytes.extend_from_slice(&state.generation.to_be_bytes());
    for Registrant { host, key } in registrants {
        bytes.extend_from_slice(&key.to_be_bytes());
        bytes.extend_from_slice(host);
    }
    (bytes.len() <= RECORD_LEN_MAX).then_some(bytes)
}

fn decode(bytes: &[u8]) -> Result<ReservationState, NamespaceError> {
    parse(bytes).ok_or(NamespaceError::FileContents)
}

fn parse(bytes: &[u8]) -> Option<ReservationState> {
    let (header, mut rest) = bytes.split_at_checked(HEADER_LEN)?;
    let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (version, persist, kind, holder, count) = (header[0], header[1], header[2], number(3), number(5));
    if version != VERSION || persist > 1 {
        return None;
    }
    let generation = u32::from_be_bytes(header[7..].try_into().ok()?);
    let mut registrants = Vec::new();
    for _ in 0..count {
        let (key, behind) = rest.split_at_checked(size_of::<u64>())?;
        let (host, behind) = behind.split_at_checked(size_of::<HostId>())?;
        let key = u64::from_be_bytes(key.try_into().ok()?);
        registrants.push(Registrant { host: host.try_into().ok()?, key });
        rest = behind;
    }
    let reservation = match kind {
        0 => None,
        kind => Some((ReservationType::from_code(kind)?, registrants.get(usize::from(holder))?.host)),
    };
    Some(ReservationState { generation, registrants, reservation, persist: persist == 1 })
}

const VERSION: u8 = 1;
const HEADER_LEN: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> ReservationState {
        let registrants = vec![Registrant { host: [1; 16], key: 7 }, Registrant { host: [2; 16], key: 8 }];
        let reservation = Some((ReservationType::ExclusiveAccess, [2; 16]));
        ReservationState { generation: 5, registrants, reservation, persist: true }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let bytes = encode(&state()).expect("few enough");
        assert_eq!(decode(&bytes), Ok(state()));
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), Err(NamespaceError::FileContents), "cut off at {len}");
        }
    }

    #[test]
    fn what_is_not_to_persist_is_not_kept() {
        let bytes = encode(&ReservationState { persist: false, ..state() }).expect("few enough");
        let kept = ReservationState { generation: 5, ..ReservationState::default() };
        assert_eq!(decode(&bytes), Ok(kept));
    }
}

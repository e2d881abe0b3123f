//! The keys of encrypted volumes: those given by name, and those that are drawn and kept in a file.
//!
//! A file keeps the key of one volume. It is made, with a key that nobody knows, if there is none, and can be read by nobody
//! but its owner. The volume is there when its key is on stable storage, in both places of the file: what a crypto erase
//! leaves of the key before is nothing. (A file system or a disk that writes elsewhere instead of in place may keep what was
//! there; this is for them to rule out.)

use crate::Shard;
use crate::records::{Records, Told};
use crate::volumes::{KeySource, Kind, VolumeError, Volumes};
use block::Identity;
use block::device::{Crypt, Keeping, Key};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use stdx::env::{Env, IoError};
use thiserror::Error;
use zeroize::Zeroizing;

/// The keys of a shard.
#[derive(Debug, Default)]
pub struct Keys {
    named: BTreeMap<String, Key>,
    kept: Vec<Kept>,
}

/// An encrypted volume to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encrypted {
    /// What to call it.
    pub name: String,
    /// The volume that holds its ciphertext.
    pub base: String,
    /// Its identity; a random one if `None`.
    pub identity: Option<Identity>,
}

/// Why there is no such key, or no volume with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum EncryptionError {
    /// The volume cannot be made.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// No key has that name.
    #[error("no key has that name; saved configurations hold keys only if that was asked for")]
    UnknownKey,
    /// A key has that name.
    #[error("a key has that name already")]
    KeyExists,
    /// A volume is encrypted with it.
    #[error("a volume is encrypted with the key")]
    KeyInUse,
    /// As many as there may be.
    #[error("there are as many keys as there may be")]
    TooManyKeys,
    /// The system says no.
    #[error("the file of the key: {0}")]
    File(IoError),
    /// It keeps the key of another volume.
    #[error("the file keeps the key of another volume")]
    FileInUse,
    /// It is no file of ours.
    #[error("the file holds something else than a key")]
    FileContents,
}

/// Who waits for an encrypted volume.
type Waiting = Box<dyn FnOnce(Result<Identity, EncryptionError>) + Send>;

/// A key that is kept in a file.
struct Kept {
    record: u32,
    stage: Stage,
}

enum Stage {
    /// The file is read.
    Reading(Wanted),
    /// What it holds, or is to hold, is written to both its places.
    Writing(Wanted, Key),
    /// The volume of this name is encrypted with it.
    Used { volume: String, crypt: Rc<Crypt> },
}

/// A volume that waits for its key.
struct Wanted {
    volume: Encrypted,
    source: KeySource,
    then: Waiting,
}

impl core::fmt::Debug for Kept {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Kept").field("record", &self.record).finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys that were given, by their names.
    pub fn named(&self) -> impl Iterator<Item = (&str, &Key)> {
        self.named.iter().map(|(name, key)| (name.as_str(), key))
    }

    fn add(&mut self, name: &str, key: Key) -> Result<(), EncryptionError> {
        if self.named.contains_key(name) {
            return Err(EncryptionError::KeyExists);
        }
        if self.named.len() >= KEYS_MAX {
            return Err(EncryptionError::TooManyKeys);
        }
        self.named.insert(name.into(), key);
        Ok(())
    }

    fn remove(&mut self, volumes: &Volumes, name: &str) -> Result<(), EncryptionError> {
        if volumes.iter().any(|entry| entry.spec.key_name() == Some(name)) {
            return Err(EncryptionError::KeyInUse);
        }
        self.named.remove(name).map(drop).ok_or(EncryptionError::UnknownKey)
    }

    /// True if the record is a key's.
    pub(crate) fn keeps(&self, record: u32) -> bool {
        self.kept.iter().any(|kept| kept.record == record)
    }

    /// Stores the keys that volumes drew, and closes the files of those that are gone.
    pub(crate) fn poll(&mut self, env: &mut dyn Env, records: &mut Records, volumes: &Volumes) {
        self.kept.retain(|kept| {
            let Stage::Used { volume, crypt } = &kept.stage else { return true };
            // Another volume may have its name by now.
            if !crypt_of(volumes, volume).is_some_and(|there| Rc::ptr_eq(there, crypt)) {
                records.close(env, kept.record);
                return false;
            }
            if let Some(key) = crypt.poll_new_key() {
                records.store(env, kept.record, encode(&key));
            }
            true
        });
    }
}

impl Shard {
    /// The keys of encrypted volumes.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Takes a key under a name of its own, for volumes to be encrypted with.
    pub fn add_key(&mut self, name: &str, key: Key) -> Result<(), EncryptionError> {
        self.keys.add(name, key)
    }

    /// Forgets a key that no volume is encrypted with.
    pub fn remove_key(&mut self, name: &str) -> Result<(), EncryptionError> {
        self.keys.remove(&self.volumes, name)
    }

    /// Makes a volume that keeps another's blocks encrypted with a key that was given. It has no crypto erase.
    pub fn add_encrypted_volume(
        &mut self,
        env: &mut dyn Env,
        volume: &Encrypted,
        key: &str,
    ) -> Result<Identity, EncryptionError> {
        let found = self.keys.named.get(key).ok_or(EncryptionError::UnknownKey)?;
        let source = KeySource::Named(key.into());
        let identity = self.volumes.encrypt(env, volume, source, found, Keeping::Nobody)?;
        self.apply_changes(env);
        Ok(identity)
    }

    /// The same with a key that is kept in a file, and drawn if there is none yet; `then` hears when that is on stable
    /// storage and the volume is there. A crypto erase draws a new one.
    pub fn add_volume_with_key_file(
        &mut self,
        env: &mut dyn Env,
        volume: Encrypted,
        path: &Path,
        then: impl FnOnce(Result<Identity, EncryptionError>) + Send + 'static,
    ) {
        // The file of a volume that has just gone may be closed.
        self.keys.poll(env, &mut self.records, &self.volumes);
        let error = if self.volumes.get(&volume.base).is_none() {
            EncryptionError::Volume(VolumeError::Unknown)
        } else if self.volumes.get(&volume.name).is_some() {
            EncryptionError::Volume(VolumeError::Exists)
        } else if self.records.is_open(path) {
            EncryptionError::FileInUse
        } else {
            match self.records.open_secret(env, path) {
                Ok(record) => {
                    let wanted =
                        Wanted { volume, source: KeySource::File(path.into()), then: Box::new(then) };
                    return self.keys.kept.push(Kept { record, stage: Stage::Reading(wanted) });
                }
                Err(why) => EncryptionError::File(why),
            }
        };
        then(Err(error));
    }

    /// What became of the record of a key.
    pub(crate) fn handle_key_record(&mut self, env: &mut dyn Env, record: u32, told: Told) {
        let Some(at) = self.keys.kept.iter().position(|kept| kept.record == record) else { return };
        let stage = self.keys.kept.swap_remove(at).stage;
        let next = match (told, stage) {
            (Told::Read(read), Stage::Reading(wanted)) => self.write_key(env, record, read, wanted),
            (Told::Stored(stored), Stage::Writing(wanted, key)) => {
                self.use_key(env, record, stored, wanted, &key)
            }
            (Told::Stored(stored), Stage::Used { volume, crypt }) => {
                if !stored {
                    tracing::error!(
                        volume,
                        "the new key cannot be stored: the volume is useless until it can"
                    );
                }
                crypt.key_stored(stored);
                Some(Stage::Used { volume, crypt })
            }
            (Told::Read(_) | Told::Stored(_), other) => Some(other),
        };
        self.keys.kept.extend(next.map(|stage| Kept { record, stage }));
    }

    /// The file was read: what it holds, or a key drawn now, is written to both its places. A power cut may have come between
    /// the two before.
    fn write_key(
        &mut self,
        env: &mut dyn Env,
        record: u32,
        read: Result<Option<Zeroizing<Vec<u8>>>, IoError>,
        wanted: Wanted,
    ) -> Option<Stage> {
        let key = match read {
            Ok(Some(bytes)) => decode(&bytes).ok_or(EncryptionError::FileContents),
            Ok(None) if self.records.was_blank(record) => Ok(Key::draw(env)),
            Ok(None) => Err(EncryptionError::FileContents),
            Err(why) => Err(EncryptionError::File(why)),
        };
        match key {
            Ok(key) => {
                self.records.store(env, record, encode(&key));
                Some(Stage::Writing(wanted, key))
            }
            Err(error) => {
                self.records.close(env, record);
                (wanted.then)(Err(error));
                None
            }
        }
    }

    /// The key is on stable storage, or could not be stored.
    fn use_key(
        &mut self,
        env: &mut dyn Env,
        record: u32,
        stored: bool,
        wanted: Wanted,
        key: &Key,
    ) -> Option<Stage> {
        let Wanted { volume, source, then } = wanted;
        let made = if stored {
            self.volumes.encrypt(env, &volume, source, key, Keeping::Owner).map_err(EncryptionError::from)
        } else {
            Err(EncryptionError::File(IoError::Media))
        };
        let crypt = crypt_of(&self.volumes, &volume.name).filter(|_| made.is_ok()).cloned();
        let next = crypt.map(|crypt| Stage::Used { volume: volume.name, crypt });
        if next.is_none() {
            self.records.close(env, record);
        }
        self.apply_changes(env);
        then(made);
        next
    }
}

/// The device of an encrypted volume.
fn crypt_of<'a>(volumes: &'a Volumes, name: &str) -> Option<&'a Rc<Crypt>> {
    match &volumes.get(name)?.kind {
        Kind::Crypt(crypt) => Some(crypt),
        Kind::Plain | Kind::File(_) | Kind::Delay(_) | Kind::Error(_) => None,
    }
}

/// Version, then both halves.
fn encode(key: &Key) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 + key.reveal().len()));
    bytes.push(VERSION);
    bytes.extend_from_slice(key.reveal());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Key> {
    let (&version, key) = bytes.split_first()?;
    (version == VERSION).then(|| Key::from_bytes(key).ok())?
}

const VERSION: u8 = 1;
/// Keys that may be given.
const KEYS_MAX: usize = 4096;

#[cfg(test)]
mod tests;

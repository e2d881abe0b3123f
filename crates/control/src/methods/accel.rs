//! `accel_crypto_key_*`: the keys that encrypted volumes are made with, by SPDK's names. A key is never shown; saved
//! configurations hold it if they are asked to.

use block::device::{Key, KeyError};
use engine::{EncryptionError, Shard};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::bdev::{io_errno, volume_error};
use crate::config::Call;
use crate::error::{Errno, RpcError};
use crate::fabric::{At, FabricMethod};

/// A key.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeyCreate {
    /// What it is for.
    cipher: Cipher,
    /// The half that ciphers data: 32 hexadecimal digits for AES-128, 64 for AES-256.
    key: String,
    /// The half that ciphers the numbers of blocks, as long as the other, and not the same.
    key2: String,
    /// How the number of a block becomes a tweak.
    tweak_mode: Option<TweakMode>,
    /// What to call it.
    name: String,
}

/// Ciphers.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum Cipher {
    /// XTS-AES.
    #[serde(rename = "AES_XTS")]
    AesXts,
}

/// How the number of a block becomes a tweak.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum TweakMode {
    /// It is the tweak, lowest byte first.
    #[serde(rename = "SIMPLE_LBA")]
    SimpleLba,
}

/// A key by its name.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeyName {
    /// The key.
    key_name: String,
}

/// Which keys to show.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeysGet {
    /// The key; all by default.
    key_name: Option<String>,
}

/// What may be known of a key.
#[derive(Serialize, JsonSchema)]
struct KeyShown {
    /// What it is called.
    name: String,
    /// What it is for.
    cipher: Cipher,
    /// Bits of each half.
    key_bits: usize,
}

/// The methods.
pub fn methods() -> Vec<FabricMethod> {
    vec![
        FabricMethod::new("accel_crypto_key_create", "Takes a key for encrypted volumes.", create),
        FabricMethod::new("accel_crypto_key_destroy", "Forgets a key that no volume uses.", destroy),
        FabricMethod::new(
            "accel_crypto_keys_get",
            "Shows which keys there are; unlike SPDK's, it does not show the keys.",
            get,
        ),
    ]
}

/// The calls that take the keys again.
pub(crate) fn save(shard: &Shard) -> Vec<Call> {
    let call = |(name, key): (&str, &Key)| {
        let (data, tweak) = key.halves();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (cipher, tweak_mode) = (Cipher::AesXts, None);
        let params =
            KeyCreate { cipher, key: hex(data), key2: hex(tweak), tweak_mode, name: name.to_owned() };
        Call::new("accel_crypto_key_create", params)
    };
    shard.keys().named().map(call).collect()
}

/// What went wrong with an encrypted volume or its key, as an errno.
pub(super) fn encryption_error(error: EncryptionError) -> RpcError {
    let errno = match error {
        EncryptionError::Volume(error) => return volume_error(error),
        EncryptionError::UnknownKey => Errno::NoEntry,
        EncryptionError::KeyExists => Errno::Exists,
        EncryptionError::KeyInUse | EncryptionError::FileInUse => Errno::Busy,
        EncryptionError::TooManyKeys => Errno::NoMemory,
        EncryptionError::File(error) => io_errno(error),
        EncryptionError::FileContents => Errno::Invalid,
    };
    errno.because(error)
}

fn create(at: At<'_>, params: KeyCreate) -> Result<bool, RpcError> {
    let KeyCreate { cipher: Cipher::AesXts, key, key2, tweak_mode: _, name } = params;
    let (data, tweak) = (Zeroizing::new(key), Zeroizing::new(key2));
    let digits =
        |text: &str| parse(text).ok_or_else(|| Errno::Invalid.because("a key is hexadecimal digits"));
    let key = Key::new(&digits(&data)?, &digits(&tweak)?);
    let key = key.map_err(|why: KeyError| Errno::Invalid.because(why))?;
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err(Errno::Invalid.because("name"));
    }
    at.shard.add_key(&name, key).map_err(encryption_error)?;
    Ok(true)
}

fn destroy(at: At<'_>, params: KeyName) -> Result<bool, RpcError> {
    at.shard.remove_key(&params.key_name).map_err(encryption_error)?;
    Ok(true)
}

fn get(at: At<'_>, params: KeysGet) -> Result<Vec<KeyShown>, RpcError> {
    let show = |(name, key): (&str, &Key)| KeyShown {
        name: name.to_owned(),
        cipher: Cipher::AesXts,
        key_bits: key.halves().0.len() * 8,
    };
    let wanted = |name: &str| params.key_name.as_deref().is_none_or(|wanted| wanted == name);
    let shown: Vec<_> = at.shard.keys().named().filter(|(name, _)| wanted(name)).map(show).collect();
    if shown.is_empty() && params.key_name.is_some() {
        return Err(encryption_error(EncryptionError::UnknownKey));
    }
    Ok(shown)
}

/// Hexadecimal digits as bytes.
fn parse(digits: &str) -> Option<Zeroizing<Vec<u8>>> {
    if !digits.len().is_multiple_of(2) || digits.len() > DIGITS_MAX {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.as_bytes().chunks(2) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        bytes.push((value(pair[0])? << 4 | value(pair[1])?) as u8);
    }
    Some(bytes)
}

/// Digits of half a key.
const DIGITS_MAX: usize = 64;
/// Bytes of a name.
const NAME_LEN_MAX: usize = 256;

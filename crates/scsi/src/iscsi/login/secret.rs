//! Secrets, which nothing prints.

use core::fmt;

/// A shared secret. It shows itself to a hash and to whoever asks for its bytes by name; `Debug` says that it is there, and
/// there is no `Display`.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes a secret: 1 to 255 bytes, `None` if it is of another length. RFC 7143 (section 12.1.3) wants at least 96 bits
    /// of randomness in it, which is the giver's care.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (1..=SECRET_LEN_MAX).contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    /// Its bytes, for a hash or for a configuration that is to hold secrets.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// True if both are the same, found out in a time that does not depend on how alike they are.
    pub fn is_same(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The longest secret, in bytes.
const SECRET_LEN_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = Secret::new(b"open sesame 1234").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.reveal(), b"open sesame 1234");
    }

    #[test]
    fn a_secret_has_a_length() {
        assert!(Secret::new(b"").is_none());
        assert!(Secret::new(&[0; 256]).is_none());
        let secret = Secret::new(&[7; 255]).unwrap();
        assert!(secret.is_same(&secret.clone()));
        assert!(!secret.is_same(&Secret::new(&[7; 254]).unwrap()));
    }
}

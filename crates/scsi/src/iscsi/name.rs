//! iSCSI names (RFC 7143, section 4.2.7): `iqn.`, `eui.` and `naa.`, compared without regard to case.

use core::fmt;
use thiserror::Error;

/// The name of an initiator or target node, in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IscsiName(Box<str>);

/// Why a text is no iSCSI name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NameError {
    /// Empty, or longer than 223 bytes.
    #[error("an iSCSI name has 1 to 223 bytes, not {0}")]
    Length(usize),
    /// White space, or a sign that means something in lists of names.
    #[error("an iSCSI name has no white space, control character, comma, slash or equals sign")]
    Character,
    /// None of the three forms begins like this.
    #[error("an iSCSI name begins with \"iqn.\", \"eui.\" or \"naa.\"")]
    Form,
    /// `iqn.` without year, month and domain.
    #[error("an iqn name goes on with a year, \"-\", a month, \".\" and a domain")]
    Date,
    /// `eui.` or `naa.` with something else behind.
    #[error("an eui name goes on with 16 hexadecimal digits, a naa name with 16 or 32")]
    Digits,
}

impl IscsiName {
    /// Checks a text against the whole form; the names we give are checked by this.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = Self::from_peer(text)?;
        let text = name.as_str();
        let is_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(rest) = text.strip_prefix("iqn.") {
            check_date(rest)?;
        } else if let Some(digits) = text.strip_prefix("eui.") {
            if digits.len() != 16 || !is_digits(digits) {
                return Err(NameError::Digits);
            }
        } else if let Some(digits) = text.strip_prefix("naa.") {
            if ![16, 32].contains(&digits.len()) || !is_digits(digits) {
                return Err(NameError::Digits);
            }
        } else {
            return Err(NameError::Form);
        }
        Ok(name)
    }

    /// Takes a name a peer goes by: of the right length, and nothing in it that would break a list of names. The three
    /// forms are a rule for those who give names, and some do not keep it.
    pub fn from_peer(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > NAME_LEN_MAX {
            return Err(NameError::Length(text.len()));
        }
        let breaks =
            |sign: char| sign.is_whitespace() || sign.is_control() || [',', '/', '='].contains(&sign);
        if text.contains(breaks) {
            return Err(NameError::Character);
        }
        let lower = text.to_lowercase();
        if lower.len() > NAME_LEN_MAX {
            return Err(NameError::Length(lower.len()));
        }
        Ok(Self(lower.into_boxed_str()))
    }

    /// The text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IscsiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IscsiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What stands behind `iqn.`: `yyyy-mm.` and at least one sign of a domain.
fn check_date(rest: &str) -> Result<(), NameError> {
    let Some((date, behind)) = rest.split_once('.') else { return Err(NameError::Date) };
    let Some((year, month)) = date.split_once('-') else { return Err(NameError::Date) };
    let is_number =
        |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    let month_fits = matches!(month.parse(), Ok(1..=12));
    if is_number(year, 4) && is_number(month, 2) && month_fits && !behind.is_empty() {
        Ok(())
    } else {
        Err(NameError::Date)
    }
}

/// The longest name, in bytes.
pub const NAME_LEN_MAX: usize = 223;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_names() {
        for text in ["iqn.2001-04.com.example:disk.1", "eui.02004567a425678d", "naa.52004567ba64678d"] {
            assert_eq!(IscsiName::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn case_does_not_matter() {
        assert_eq!(
            IscsiName::parse("IQN.2001-04.com.Example:X"),
            IscsiName::parse("iqn.2001-04.com.example:x")
        );
    }

    #[test]
    fn anything_else_is_not() {
        let cases = [
            ("", NameError::Length(0)),
            ("disk", NameError::Form),
            ("iqn.2001-13.com.example", NameError::Date),
            ("iqn.2001-04", NameError::Date),
            ("eui.123", NameError::Digits),
            ("iqn.2001-04.com.example:a b", NameError::Character),
            ("iqn.2001-04.com.example:a,b", NameError::Character),
        ];
        for (text, error) in cases {
            assert_eq!(IscsiName::parse(text), Err(error), "{text}");
        }
        assert_eq!(IscsiName::from_peer(&"x".repeat(224)), Err(NameError::Length(224)));
    }
}

//! Parameter values that are more than a number or a text: UUIDs, identifiers in hexadecimal, and values that are
//! accepted only because SPDK's client and SPDK's saved configurations spell them out.
//!
//! A feature that Weft does not have is refused when it is asked for, never ignored: [`Off`], [`Zero`] and the like accept
//! the one value that asks for nothing.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected};
use serde::{Serialize, Serializer};

/// Bytes written in hexadecimal, in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex<const N: usize>(pub [u8; N]);

/// A UUID, written 8-4-4-4-12 (or without dashes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uuid(pub [u8; 16]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let dash = if [4, 6, 8, 10].contains(&index) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl<const N: usize> Hex<N> {
    /// Reads `2 * N` hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> =
            text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
        let pairs: Vec<u8> =
            digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
        (text.len() == 2 * N).then(|| pairs.try_into().ok().map(Self)).flatten()
    }
}

impl Uuid {
    /// Reads 32 hexadecimal digits, with or without dashes where they belong.
    pub fn parse(text: &str) -> Option<Self> {
        let dashed = text.len() == 36 && [8, 13, 18, 23].iter().all(|&at| text.as_bytes()[at] == b'-');
        let digits: Cow<'_, str> = if dashed { text.replace('-', "").into() } else { text.into() };
        Hex::<16>::parse(&digits).map(|hex| Self(hex.0))
    }
}

macro_rules! text_form {
    ($type:ty, $name:literal, $describe:literal, [$($generics:tt)*]) => {
        impl<$($generics)*> Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de, $($generics)*> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &$describe))
            }
        }

        impl<$($generics)*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string" })
            }
        }
    };
}

text_form!(Hex<N>, "Hex", "hexadecimal digits of the right number", [const N: usize]);
text_form!(Uuid, "Uuid", "a UUID", []);

macro_rules! only {
    ($(#[$doc:meta])* $type:ident, $inner:ty, $value:expr, $say:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $type;

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = <$inner>::deserialize(deserializer)?;
                if value == $value { Ok(Self) } else { Err(D::Error::custom(concat!("only ", $say, " is supported"))) }
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $value.serialize(serializer)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "const": $value })
            }
        }
    };
}

only!(
    /// A feature that Weft does not have, not asked for.
    Off, bool, false, "false"
);
only!(
    /// A feature that Weft cannot do without, asked for.
    On, bool, true, "true"
);
only!(
    /// A number that Weft has no use for but 0.
    Zero, i64, 0, "0"
);
only!(
    /// A NUMA node: none in particular.
    AnyNode, i64, -1, "-1"
);
only!(
    /// The one NVMe-oF target there is, by SPDK's name for it.
    OnlyTarget, String, "nvmf_tgt", "nvmf_tgt"
);
only!(
    /// Discovery shows whatever a host may reach.
    MatchAny, String, "match_any", "match_any"
);
only!(
    /// No restriction.
    Allow, String, "allow", "allow"
);
only!(
    /// The one kind of socket there is, by SPDK's name for it.
    PosixSock, String, "posix", "posix"
);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn uuids_are_read_with_and_without_dashes_and_written_with() {
        let text = "ceccf520-691e-4b46-9546-34af789907c5";
        let uuid: Uuid = from_value(json!(text)).expect("a UUID");
        assert_eq!(uuid.to_string(), text);
        assert_eq!(Uuid::parse(&text.replace('-', "").to_uppercase()), Some(uuid));
        for wrong in
            ["", "ceccf520", "ceccf520-691e-4b46-954634af789907c5-", "gecccf520691e4b46954634af789907c5"]
        {
            assert_eq!(Uuid::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Hex::<2>::parse("0aFf").map(|hex| hex.to_string()), Some("0AFF".to_owned()));
        assert_eq!(Hex::<2>::parse("0aF"), None);
        assert_eq!(Hex::<2>::parse("é1"), None);
    }

    #[test]
    fn what_asks_for_nothing_is_accepted_and_nothing_else() {
        assert!(from_value::<Off>(json!(false)).is_ok());
        assert!(from_value::<Off>(json!(true)).is_err());
        assert!(from_value::<Zero>(json!(0)).is_ok());
        assert!(from_value::<Zero>(json!(8)).is_err());
        assert!(from_value::<OnlyTarget>(json!("nvmf_tgt")).is_ok());
        assert!(from_value::<OnlyTarget>(json!("other")).is_err());
    }
}

//! Values: numbers and binary items (RFC 7143, section 6.1).

use core::fmt;

/// A number, decimal or hexadecimal (`0x`), as every numerical key takes it; `None` if it is none.
pub fn number_of(value: &str) -> Option<u32> {
    let (digits, radix) = match strip_prefix_ignoring_case(value, "0x") {
        Some(digits) => (digits, 16),
        None => (value, 10),
    };
    // `from_str_radix` takes a sign, a number of this kind has none.
    let valid = !digits.is_empty() && digits.bytes().all(|byte| (byte as char).is_digit(radix));
    if valid { u32::from_str_radix(digits, radix).ok() } else { None }
}

/// A binary item. It is written in hexadecimal; read it may be in base 64 as well.
pub struct Binary<'a>(pub &'a [u8]);

impl fmt::Display for Binary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Binary<'_> {
    /// The bytes of a value, of at most `len_max` bytes; `None` if it is not binary, or longer.
    pub fn read(value: &str, len_max: usize) -> Option<Vec<u8>> {
        let bytes = match strip_prefix_ignoring_case(value, "0x") {
            Some(digits) => read_hex(digits.as_bytes()),
            None => read_base64(strip_prefix_ignoring_case(value, "0b")?.as_bytes()),
        };
        bytes.filter(|bytes| bytes.len() <= len_max)
    }
}

fn strip_prefix_ignoring_case<'a>(value: &'a str, prefix: &str) -> Option<&'a str> {
    let (front, rest) = value.split_at_checked(prefix.len())?;
    front.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// An odd number of digits has a zero in front: it is a number.
fn read_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let values: Option<Vec<u8>> =
        digits.iter().map(|byte| (*byte as char).to_digit(16).map(|value| value as u8)).collect();
    let values = values.filter(|values| !values.is_empty())?;
    let (odd, pairs) = values.split_at(values.len() % 2);
    Some(odd.iter().copied().chain(pairs.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1])).collect())
}

/// RFC 4648, section 4, with its padding.
fn read_base64(digits: &[u8]) -> Option<Vec<u8>> {
    let padding = digits.iter().rev().take_while(|byte| **byte == b'=').count();
    if digits.is_empty() || !digits.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for &digit in &digits[..digits.len() - padding] {
        held = held << 6 | sextet_of(digit)?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    (held == 0).then_some(bytes)
}

fn sextet_of(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _not_a_digit => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        let cases = [
            ("0", Some(0)),
            ("262144", Some(262_144)),
            ("0x40000", Some(262_144)),
            ("0XfF", Some(255)),
            ("", None),
            ("0x", None),
            ("+1", None),
            ("-1", None),
            ("0x+1", None),
            ("4294967296", None),
            ("12k", None),
        ];
        for (text, number) in cases {
            assert_eq!(number_of(text), number, "{text}");
        }
    }

    #[test]
    fn binary_items_are_read_in_both_forms() {
        let read = |text: &str| Binary::read(text, 8);
        assert_eq!(read("0x0102fF"), Some(vec![1, 2, 255]));
        assert_eq!(read("0x102"), Some(vec![1, 2]));
        assert_eq!(read("0bAQL/"), Some(vec![1, 2, 255]));
        assert_eq!(read("0BAQI="), Some(vec![1, 2]));
        assert_eq!(read("0bAQ=="), Some(vec![1]));
        for wrong in [
            "",
            "0x",
            "0b",
            "0xg0",
            "0bA",
            "0bAQI",
            "0bAR==",
            "0bA===",
            "0b====",
            "1234",
            "0x010203040506070809",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for len in 0..40u8 {
            let bytes: Vec<u8> = (0..len).map(|byte| byte.wrapping_mul(37)).collect();
            let written = Binary(&bytes).to_string();
            assert_eq!(Binary::read(&written, 64), (len > 0).then_some(bytes));
        }
    }
}

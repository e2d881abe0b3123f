//! Sizes as people write them: `1G`, `64MiB`, `4k`, `512`. All multiples are powers of 1024.

use thiserror::Error;

/// Bytes from text: digits, then nothing or one of K, M, G, T, P in either case, optionally followed by `B` or `iB`.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return Err(SizeError::Form),
    };
    let number: u64 = number.parse().map_err(|_| SizeError::Form)?;
    number.checked_mul(1 << shift).ok_or(SizeError::TooLarge)
}

/// Bytes as a person reads them: `1 GiB`, `1.5 MiB`, `512 B`.
pub fn format_size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = (63 - bytes.max(1).leading_zeros() as usize) / 10;
    let value = bytes as f64 / (1u64 << (10 * power)) as f64;
    let digits = if value.fract() == 0.0 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[power])
}

/// Why a text is no size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SizeError {
    /// Not a number with a unit.
    #[error("a size is a number with K, M, G, T or P behind it, such as 64M or 1GiB")]
    Form,
    /// More than 2^64 bytes.
    #[error("the size is beyond 2^64 bytes")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        assert_eq!(parse_size("512"), Ok(512));
        assert_eq!(parse_size("4k"), Ok(4096));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        assert_eq!(parse_size("2TB"), Ok(2 << 40));
        assert_eq!(parse_size("x"), Err(SizeError::Form));
        assert_eq!(parse_size("12q"), Err(SizeError::Form));
        assert_eq!(parse_size("99999999P"), Err(SizeError::TooLarge));
        assert_eq!(format_size(1 << 30), "1 GiB");
        assert_eq!(format_size(1536), "1.5 KiB");
        assert_eq!(format_size(0), "0 B");
        assert_eq!(format_size(u64::MAX), "16 EiB");
    }
}

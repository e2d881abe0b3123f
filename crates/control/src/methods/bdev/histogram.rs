//! Latencies of volumes, counted.

use block::volume::{Histogram, HistogramConfig, RequestKind};
use engine::volumes::Entry;

use super::entry;
use super::iostat::TICKS_PER_SEC;
use super::params::{EnableHistogram, GetHistogram, GetHistogramBorders, RequestKind as Kind};
use super::results::{BordersCount, HistogramCounts};
use crate::config::Call;
use crate::error::{Errno, RpcError};
use crate::fabric::{At, FabricMethod};

/// The methods of this module.
pub(super) fn methods() -> [FabricMethod; 3] {
    [
        FabricMethod::new(
            "bdev_enable_histogram",
            "Counts the latencies of a volume, or stops that.",
            enable,
        ),
        FabricMethod::new("bdev_get_histogram", "Shows the latencies that were counted.", get),
        FabricMethod::new(
            "bdev_get_histogram_borders",
            "Shows how many requests took less than given times.",
            borders,
        ),
    ]
}

/// What is counted unless something else is asked for.
pub(crate) const HISTOGRAM_DEFAULT: HistogramConfig =
    HistogramConfig { kind: None, granularity: 7, min_ns: 1000, max_ns: TWO_MINUTES_NS };

fn enable(at: At<'_>, params: EnableHistogram) -> Result<bool, RpcError> {
    let volume = &entry(at.shard, &params.name)?.volume;
    if !params.enable {
        volume.set_histogram(None);
        return Ok(true);
    }
    let config = HistogramConfig {
        kind: params.opc.map(RequestKind::from),
        granularity: params.granularity.unwrap_or(HISTOGRAM_DEFAULT.granularity),
        min_ns: params.min_nsec.unwrap_or(HISTOGRAM_DEFAULT.min_ns),
        max_ns: params.max_nsec.unwrap_or(HISTOGRAM_DEFAULT.max_ns),
    };
    let histogram = Histogram::new(config);
    let histogram = histogram.ok_or_else(|| Errno::Invalid.because("there is no such range of latencies"))?;
    volume.set_histogram(Some(histogram));
    Ok(true)
}

fn get(at: At<'_>, params: GetHistogram) -> Result<HistogramCounts, RpcError> {
    Ok(histogram_counts(&counted(at, &params.name)?))
}

/// The counts as SPDK's tools read them.
pub(crate) fn histogram_counts(histogram: &Histogram) -> HistogramCounts {
    let bytes: Vec<u8> = histogram.counts().iter().flat_map(|count| count.to_le_bytes()).collect();
    HistogramCounts {
        histogram: base64(&bytes),
        granularity: histogram.config().granularity,
        min_range: *histogram.ranges().start(),
        max_range: *histogram.ranges().end(),
        tsc_rate: TICKS_PER_SEC,
    }
}

fn borders(at: At<'_>, params: GetHistogramBorders) -> Result<BordersCount, RpcError> {
    if params.borders.len() > BORDERS_MAX {
        return Err(Errno::Invalid.because("more than 256 borders"));
    }
    let histogram = counted(at, &params.name)?;
    let below = params.borders.iter().map(|micros| histogram.below(micros.saturating_mul(1000)));
    let all = histogram.counts().iter().sum();
    Ok(BordersCount { borders_count: below.chain([all]).collect() })
}

/// The call that has a volume's latencies counted again.
pub(super) fn save(entry: &Entry) -> Option<Call> {
    let config = entry.volume.histogram()?.config();
    let params = EnableHistogram {
        name: entry.name.clone(),
        enable: true,
        opc: config.kind.map(Kind::from),
        granularity: Some(config.granularity),
        min_nsec: Some(config.min_ns),
        max_nsec: Some(config.max_ns),
    };
    Some(Call::new("bdev_enable_histogram", params))
}

fn counted(at: At<'_>, name: &str) -> Result<Histogram, RpcError> {
    let histogram = entry(at.shard, name)?.volume.histogram();
    histogram.ok_or_else(|| Errno::Invalid.because("the latencies of this volume are not counted"))
}

impl From<Kind> for RequestKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Read => Self::Read,
            Kind::Write => Self::Write,
            Kind::Unmap => Self::Discard,
            Kind::Flush => Self::Flush,
            Kind::WriteZeroes => Self::Zero,
            Kind::Compare => Self::Compare,
            Kind::CompareAndWrite => Self::CompareWrite,
            Kind::Copy => Self::Copy,
        }
    }
}

impl From<RequestKind> for Kind {
    fn from(kind: RequestKind) -> Self {
        match kind {
            RequestKind::Read => Self::Read,
            RequestKind::Write => Self::Write,
            RequestKind::Discard => Self::Unmap,
            RequestKind::Flush => Self::Flush,
            RequestKind::Zero => Self::WriteZeroes,
            RequestKind::Compare => Self::Compare,
            RequestKind::CompareWrite => Self::CompareAndWrite,
            RequestKind::Copy => Self::Copy,
        }
    }
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const TWO_MINUTES_NS: u64 = 120_000_000_000;
const BORDERS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_the_rfc_has_it() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}

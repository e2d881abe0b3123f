//! The acknowledge extended transport header: a syndrome and a message number (9.7.5.1).

use core::time::Duration;

/// What an acknowledgement says (AETH).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledge {
    /// Good or bad, and why.
    pub syndrome: Syndrome,
    /// How many messages the responder has completed, below 2^24, wrapping (MSN).
    pub message_number: u32,
}

/// Whether a request was done (table 45).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syndrome {
    /// It was. Five bits tell how many further receives are posted, coded; 31 says that nobody counts.
    Ack {
        /// The credit code (table 46), 0 to 31.
        credits: u8,
    },
    /// No receive was posted: come again.
    Rnr(RnrTimer),
    /// It was not.
    Nak(Nak),
}

codes! {
    /// Why a request was not done (table 45).
    pub enum Nak: u8 {
        PsnSequence = 0x00, "PSN sequence error";
        InvalidRequest = 0x01, "invalid request";
        RemoteAccess = 0x02, "remote access error";
        RemoteOperational = 0x03, "remote operational error";
        InvalidRdRequest = 0x04, "invalid RD request";
    }
}

/// How long to wait before the request is sent again (table 47), 0 to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RnrTimer(u8);

impl RnrTimer {
    /// The timer with this code; `None` above 31.
    pub const fn from_code(code: u8) -> Option<Self> {
        if code < 32 { Some(Self(code)) } else { None }
    }

    /// The code, 0 to 31.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The time it stands for. Code 0 is the longest.
    pub const fn duration(self) -> Duration {
        Duration::from_micros(TIMERS[self.0 as usize & 31] as u64 * 10)
    }

    /// The shortest timer that waits at least this long; the longest if none does.
    pub fn at_least(duration: Duration) -> Self {
        let fits = |code: &u8| Self(*code).duration() >= duration;
        Self((1..32).find(fits).unwrap_or(0))
    }
}

impl Syndrome {
    /// The credit code that says that credits are not counted.
    pub const UNLIMITED: u8 = 31;

    /// An acknowledgement that counts no credits.
    pub const ACK: Self = Self::Ack { credits: Self::UNLIMITED };

    /// The meaning of the byte; `None` for reserved ones.
    pub const fn from_code(code: u8) -> Option<Self> {
        let value = code & 0x1f;
        match code >> 5 {
            0 => Some(Self::Ack { credits: value }),
            1 => Some(Self::Rnr(RnrTimer(value))),
            3 => match Nak::from_code(value) {
                Some(nak) => Some(Self::Nak(nak)),
                None => None,
            },
            _ => None,
        }
    }

    /// The byte.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ack { credits } => credits & 0x1f,
            Self::Rnr(timer) => 0x20 | timer.0,
            Self::Nak(nak) => 0x60 | nak.code(),
        }
    }
}

/// Timers in units of 10 microseconds (table 47).
const TIMERS: [u32; 32] = [
    65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
    3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_means_one_thing_or_nothing() {
        let known = (0..=255u8).filter(|&code| Syndrome::from_code(code).is_some()).count();
        assert_eq!(known, 32 + 32 + 5);
        for code in 0..=255 {
            if let Some(syndrome) = Syndrome::from_code(code) {
                assert_eq!(syndrome.code(), code);
            }
        }
        assert_eq!(Syndrome::from_code(0x60), Some(Syndrome::Nak(Nak::PsnSequence)));
        assert_eq!(Syndrome::ACK.code(), 0x1f);
    }

    #[test]
    fn timers_are_the_tables() {
        let timer = |code| RnrTimer::from_code(code).unwrap().duration();
        assert_eq!(timer(0), Duration::from_micros(655_360));
        assert_eq!(timer(1), Duration::from_micros(10));
        assert_eq!(timer(12), Duration::from_micros(640));
        assert_eq!(timer(31), Duration::from_micros(491_520));
        assert!((1..31).all(|code| timer(code) < timer(code + 1)));
        assert_eq!(RnrTimer::at_least(Duration::from_micros(641)).code(), 13);
        assert_eq!(RnrTimer::at_least(Duration::ZERO).code(), 1);
        assert_eq!(RnrTimer::at_least(Duration::from_secs(1)).code(), 0);
        assert_eq!(RnrTimer::from_code(32), None);
    }
}

//! The window after a loss: half of what it was, and wider again with what is acknowledged.
//!
//! Nobody tells how much a peer's socket has room for. A burst that passes it is lost, and sent again whole it is lost again; so
//! each loss halves what may be on its way, and each window that is acknowledged widens it by a few packets.

/// How narrow a requester's window is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Narrowing {
    /// Packets; `None` while nothing was lost.
    packets: Option<u32>,
    /// Packets acknowledged since it was widened.
    acknowledged: u32,
}

impl Narrowing {
    /// Something was lost.
    pub(super) fn lose(&mut self, widest: u32) {
        let now = self.window(widest);
        *self = Self { packets: Some((now / 2).max(NARROWEST.min(widest))), acknowledged: 0 };
    }

    /// So many packets more were acknowledged.
    pub(super) fn acknowledge(&mut self, count: u32, widest: u32) {
        let Some(packets) = self.packets else { return };
        self.acknowledged = self.acknowledged.saturating_add(count);
        if self.acknowledged >= packets {
            self.acknowledged = 0;
            self.packets = Some(packets + WIDENING).filter(|packets| *packets < widest);
        }
    }

    /// Something was lost lately.
    pub(super) const fn is_narrow(&self) -> bool {
        self.packets.is_some()
    }

    /// Packets that may be on their way.
    pub(super) fn window(&self, widest: u32) -> u32 {
        self.packets.unwrap_or(widest)
    }
}

/// A window is not made narrower than this, in packets.
const NARROWEST: u32 = 8;
/// Packets that a whole window's acknowledgement widens it by.
const WIDENING: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_halve_the_window_and_acknowledgements_widen_it() {
        let mut narrowing = Narrowing::default();
        assert_eq!(narrowing.window(512), 512);
        let mut seen = Vec::new();
        for _ in 0..8 {
            narrowing.lose(512);
            seen.push(narrowing.window(512));
        }
        assert_eq!(seen, [256, 128, 64, 32, 16, 8, 8, 8]);
        narrowing.acknowledge(7, 512);
        assert_eq!(narrowing.window(512), 8);
        narrowing.acknowledge(1, 512);
        assert_eq!(narrowing.window(512), 12);
        for _ in 0..200 {
            narrowing.acknowledge(512, 512);
        }
        assert!(!narrowing.is_narrow());
        narrowing.lose(4);
        assert_eq!(narrowing.window(4), 4, "never narrower than a window that is narrow already");
    }
}

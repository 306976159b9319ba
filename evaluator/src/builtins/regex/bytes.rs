//! Sets of bytes: what one position of a regular expression may be.

/// A set of bytes as 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ByteSet {
    low: u128,
    high: u128,
}

impl ByteSet {
    pub(super) const EMPTY: Self = Self { low: 0, high: 0 };
    pub(super) const ALL: Self = Self { low: !0, high: !0 };
    /// `.`: all but NUL, newlines included.
    pub(super) const ANY: Self = Self { low: !1, high: !0 };

    pub(super) fn of(byte: u8) -> Self {
        let mut set = Self::EMPTY;
        set.insert(byte);
        set
    }

    pub(super) fn insert(&mut self, byte: u8) {
        if byte < 128 {
            self.low |= 1 << byte;
        } else {
            self.high |= 1 << (byte - 128);
        }
    }

    #[inline]
    pub(super) fn contains(self, byte: u8) -> bool {
        let half = if byte < 128 { self.low } else { self.high };
        (half >> (byte & 127)) & 1 == 1
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self {
            low: self.low | other.low,
            high: self.high | other.high,
        }
    }

    pub(super) fn complement(self) -> Self {
        Self {
            low: !self.low,
            high: !self.high,
        }
    }

    /// The byte of a set that has only one.
    pub(super) fn single(self) -> Option<u8> {
        if self.low.count_ones() + self.high.count_ones() != 1 {
            return None;
        }
        let position = if self.high == 0 {
            self.low.trailing_zeros()
        } else {
            128 + self.high.trailing_zeros()
        };
        u8::try_from(position).ok()
    }
}

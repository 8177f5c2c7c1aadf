//! One 64-bit hash for everything that all nodes must compute alike: clocks, digests, the topology, placement.
//!
//! FNV-1a over the bytes, then the 64-bit finalizer of MurmurHash3: every bit of the input reaches every bit of the result, so that the
//! order of the results, too, is as good as random. It is frozen: nodes of two versions must agree. It is no defence against an enemy
//! who chooses the input.

/// Takes bytes in, gives 64 bits out.
///
/// Text and byte strings go in with their length, so that `"ab", "c"` and `"a", "bc"` differ.
#[derive(Debug, Clone, Copy)]
pub struct Hasher(u64);

impl Hasher {
    /// An empty one.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes in a byte string and its length.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.raw(bytes).number(bytes.len() as u64)
    }

    /// Takes in a text and its length.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Takes in a number.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        self.raw(&number.to_le_bytes())
    }

    /// The hash of what went in so far.
    pub fn finish(self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }

    fn raw(self, bytes: &[u8]) -> Self {
        let step =
            |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(bytes.iter().fold(self.0, step))
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_is_frozen() {
        // The published FNV-1a values of "", "a" and "foobar".
        assert_eq!(Hasher::new().0, 0xcbf2_9ce4_8422_2325);
        assert_eq!(Hasher::new().raw(b"a").0, 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Hasher::new().raw(b"foobar").0, 0x8594_4171_f739_67e8);
        assert_eq!(Hasher::new().finish(), 0xefd0_1f60_ba99_2926);
        assert_eq!(
            Hasher::new().text("a:7000").number(1).finish(),
            0x0dbf_ad1e_19bc_d590
        );
    }

    #[test]
    fn a_bit_of_the_input_turns_half_of_the_result() {
        let text = *b"node-17.example:7000";
        let hash = Hasher::new().bytes(&text).finish();
        for bit in 0..8 * text.len() {
            let mut other = text;
            other[bit / 8] ^= 1 << (bit % 8);
            let turned = (Hasher::new().bytes(&other).finish() ^ hash).count_ones();
            assert!((14..=50).contains(&turned), "bit {bit} turns {turned}");
        }
    }

    #[test]
    fn where_one_text_ends_counts() {
        let hash = |a: &str, b: &str| Hasher::new().text(a).text(b).finish();
        assert_ne!(hash("ab", "c"), hash("a", "bc"));
        assert_ne!(hash("", "a"), hash("a", ""));
    }
}

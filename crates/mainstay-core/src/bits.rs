//! Randomness as data: 64 bits, derived by the driver and passed as an argument.
//!
//! No machine stores a generator, so two machines can never share a sequence by being cloned, and a
//! test writes `0` and `u64::MAX` to see the exact bounds of a draw.

/// 64 well-mixed bits for one draw, keyed by who draws and how often it has drawn.
///
/// The same key gives the same bits, whatever the order or number of threads. `seed` belongs to the
/// process (fresh entropy in production, a literal in a test), `stream` to the drawer, `counter` to
/// the draw. Not for secrets.
#[must_use]
pub const fn bits(seed: u64, stream: u64, counter: u64) -> u64 {
    mix(mix(mix(seed) ^ stream).wrapping_add(counter))
}

/// A draw from `0..=bound`, uniform up to one part in 2⁶⁴.
#[must_use]
pub const fn uniform(bits: u64, bound: u64) -> u64 {
    ((bits as u128 * (bound as u128 + 1)) >> 64) as u64
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), with its increment.
const fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_reaches_both_ends_and_never_passes_them() {
        assert_eq!(uniform(0, 10), 0);
        assert_eq!(uniform(u64::MAX, 10), 10);
        assert_eq!(uniform(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(uniform(u64::MAX, 0), 0);
    }

    #[test]
    fn r04_streams_and_counters_draw_independently() {
        let first: [u64; 3] = [bits(1, 1, 0), bits(1, 2, 0), bits(1, 1, 1)];
        assert!(first[0] != first[1] && first[0] != first[2] && first[1] != first[2]);
        assert_eq!(bits(1, 1, 0), first[0]);
    }
}

//! Counter-based randomness: every draw has its own generator, keyed by what it is for, so no result
//! depends on the order in which threads come to their work.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a random draw is for: the last part of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The order of the samples in an epoch.
    Shuffle = 1,
    /// Which sample goes to train, validation or test.
    Split = 2,
    /// The points of a synthetic set.
    Toy = 3,
    /// Geometric augmentation.
    Geometry = 4,
    /// Colour augmentation.
    Colour = 5,
    /// Additive Gaussian noise.
    Noise = 6,
    /// Where the cut-out squares fall.
    Cutout = 7,
    /// Partner and weight of mixup.
    Mixup = 8,
    /// The hyper-parameters of a trial.
    Trial = 9,
    /// Samples drawn anew with replacement, for an interval.
    Bootstrap = 10,
    /// Which labels are made wrong, and which wrong ones they get.
    Poison = 11,
}

/// The generator of one draw. Equal keys give equal numbers, different keys independent ones.
///
/// ```
/// use graticule_data::random::{rng, Purpose};
/// use rand::RngExt;
/// let draw = |sample| rng(7, 0, sample, Purpose::Toy).random::<u64>();
/// assert_eq!(draw(3), draw(3));
/// assert_ne!(draw(3), draw(4));
/// ```
pub fn rng(seed: u64, epoch: u64, sample: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (part, value) in key.chunks_exact_mut(8).zip([seed, epoch, sample, purpose as u64]) {
        part.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// Shuffles `items` in place (Fisher and Yates). Written out here because the order of a run must not
/// change with the version of a library.
pub fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, rng));
    }
}

/// A number from 0 to below `count`, all equally likely.
pub fn below(count: usize, rng: &mut ChaCha8Rng) -> usize {
    // The bias of the multiply-shift is below 2⁻³² for any list that fits in memory.
    ((u128::from(rng.random::<u64>()) * count as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_a_permutation_and_depends_on_its_key_only() {
        let shuffled = |seed, epoch| {
            let mut items: Vec<u32> = (0..100).collect();
            shuffle(&mut items, &mut rng(seed, epoch, 0, Purpose::Shuffle));
            items
        };
        let mut sorted = shuffled(1, 1);
        assert_eq!(sorted, shuffled(1, 1));
        assert_ne!(sorted, shuffled(1, 2));
        assert_ne!(sorted, shuffled(2, 1));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn every_place_is_equally_likely() {
        let mut counts = [[0u32; 4]; 4];
        for epoch in 0..4000 {
            let mut items = [0usize, 1, 2, 3];
            shuffle(&mut items, &mut rng(5, epoch, 0, Purpose::Shuffle));
            for (place, &item) in items.iter().enumerate() {
                counts[place][item] += 1;
            }
        }
        // 1000 expected, standard deviation 27: five of them on either side.
        assert!(
            counts.iter().flatten().all(|&n| (865..1135).contains(&n)),
            "{counts:?}"
        );
    }
}

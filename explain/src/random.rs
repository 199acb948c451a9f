//! Random numbers: every draw has a generator of its own, keyed by what it is for.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a draw is for: the last part of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Noise of SmoothGrad, by sample and draw.
    Noise,
    /// A mask of RISE, by its number.
    Mask,
    /// The order of a column's values in permutation importance, by column and repeat.
    Permutation,
    /// The order of pixels that says nothing, by sample.
    Order,
    /// Where an attack begins, by sample.
    Start,
    /// The pixels that an adversarial patch begins with.
    Patch,
    /// Where a patch lies, by step or role and sample.
    Place,
    /// The directions that a search for the main ones begins with, by sizes.
    Directions,
    /// The noise that a picture of the network begins with, by its number.
    Canvas,
    /// How a picture of the network is shifted, by its number and the step.
    Jitter,
}

/// The generator of the draw (`seed`, `first`, `second`, `purpose`).
pub(crate) fn rng(seed: u64, first: u64, second: u64, purpose: Purpose) -> ChaCha8Rng {
    let purpose = u64::from_le_bytes(match purpose {
        Purpose::Noise => *b"ex.noise",
        Purpose::Mask => *b"ex.mask\0",
        Purpose::Permutation => *b"ex.shuff",
        Purpose::Order => *b"ex.order",
        Purpose::Start => *b"ex.start",
        Purpose::Patch => *b"ex.patch",
        Purpose::Place => *b"ex.place",
        Purpose::Directions => *b"ex.direc",
        Purpose::Canvas => *b"ex.canva",
        Purpose::Jitter => *b"ex.jitte",
    });
    let mut key = [0; 32];
    for (slot, number) in key.chunks_exact_mut(8).zip([seed, first, second, purpose]) {
        slot.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A random order of `0..count` (Fisher and Yates).
pub(crate) fn permutation(count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    use rand::RngExt;
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        let pick = ((u128::from(rng.random::<u64>()) * (last as u128 + 1)) >> 64) as usize;
        order.swap(last, pick);
    }
    order
}

//! Rows of an image of one channel, interleaved: a pixel and those below it are neighbours.
//!
//! A kernel's row of one channel fills a third of a vector. Where some rows lie interleaved, pixel by pixel, one vector
//! holds the taps of all of them: 5 × 5 taps are two vectors instead of five.

use super::geometry::Frame;
use super::turn::Turn;
use crate::kernels::Isa;
#[cfg(target_arch = "x86_64")]
use crate::kernels::simd::{Simd, x86::Avx512};
use crate::plan::PooledConv;

/// Most rows that are interleaved.
const MOST_ROWS: usize = 4;

/// The image's frame with its rows interleaved.
pub(super) struct Ribbon {
    frame: Frame,
    turn: Turn,
    lanes: usize,
    /// Rows that are interleaved, and how far apart they lie in the image.
    rows: usize,
    apart: usize,
    /// Elements that the vectors of the last pixel read behind it.
    slack: usize,
}

impl Ribbon {
    /// A ribbon of as many rows as save vectors, if any do and vectors are long enough to make it worth its making.
    pub(super) fn new(isa: Isa, what: &PooledConv) -> Option<Self> {
        let ([kh, kw], lanes) = (what.sizes.window.kernel, isa.lanes());
        let vectors = |rows: usize| kh.div_ceil(rows) * (rows * kw).div_ceil(lanes);
        let rows = (1..=MOST_ROWS.min(kh)).min_by_key(|&rows| vectors(rows))?;
        (isa == Isa::Avx512 && what.sizes.channels == 1 && rows > 1).then(|| {
            let apart = what.sizes.window.dilation[0];
            Self {
                frame: Frame::new(what, 1, 1, 0),
                turn: Turn::new(isa, rows),
                lanes,
                rows,
                apart,
                slack: (rows * kw).next_multiple_of(lanes),
            }
        })
    }

    /// Rows of the kernel that are one row of the ribbon's patches.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Elements from one row of pixels to the next; pixels are [`Ribbon::rows`] apart.
    pub(super) fn row(&self) -> usize {
        self.frame.row() * self.rows
    }

    /// Elements of the framed image, with what is read below and behind it.
    fn framed(&self) -> usize {
        let below = self.rows * self.apart * self.frame.row();
        (self.frame.elements() + below).next_multiple_of(self.lanes) + self.lanes
    }

    /// Elements of the ribbon.
    fn elements(&self) -> usize {
        self.frame.elements() * self.rows + self.slack
    }

    /// Elements of scratch memory.
    pub(super) fn scratch(&self) -> usize {
        self.framed() + self.elements()
    }

    /// Lays a sample. The ribbon lies in `scratch`.
    pub(super) fn lay<'a>(&self, x: &[f32], scratch: &'a mut [f32]) -> &'a [f32] {
        let (frame, rest) = scratch.split_at_mut(self.framed());
        let ribbon = &mut rest[..self.elements()];
        let pixels = self.frame.elements();
        let (image, below) = frame.split_at_mut(pixels);
        self.frame.lay(x, image);
        below.fill(0.0);
        let (live, behind) = ribbon.split_at_mut(pixels * self.rows);
        let apart = self.apart * self.frame.row();
        assert!(pixels.next_multiple_of(self.lanes) + (self.rows - 1) * apart <= frame.len());
        // SAFETY: a ribbon is only made for AVX-512; the last vector of the lowest row lies in the frame, as asserted.
        unsafe {
            match self.rows {
                #[cfg(target_arch = "x86_64")]
                2 => interleave::<2>(&self.turn, frame.as_ptr(), apart, live),
                #[cfg(target_arch = "x86_64")]
                3 => interleave::<3>(&self.turn, frame.as_ptr(), apart, live),
                #[cfg(target_arch = "x86_64")]
                4 => interleave::<4>(&self.turn, frame.as_ptr(), apart, live),
                _ => unreachable!("a ribbon has 2 to `MOST_ROWS` rows"),
            }
        }
        behind.fill(0.0);
        ribbon
    }
}

/// # Safety
/// The processor has AVX-512; vectors begin at each 16th of as many numbers of `from` as `to` has pixels, in all rows.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn interleave<const R: usize>(turn: &Turn, from: *const f32, apart: usize, to: &mut [f32]) {
    for (number, to) in to.chunks_mut(R * Avx512::LANES).enumerate() {
        // SAFETY: by the contract.
        unsafe {
            let at = from.add(number * Avx512::LANES);
            let rows: [Avx512; R] = std::array::from_fn(|row| Avx512::load(at.add(row * apart)));
            for (vector, to) in to.chunks_mut(Avx512::LANES).enumerate() {
                turn.vector(vector, &rows).store_first(to.as_mut_ptr(), to.len());
            }
        }
    }
}

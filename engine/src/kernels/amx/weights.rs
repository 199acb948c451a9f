//! The gradient of a convolution's weights on tiles: the sum runs over pixels, channels of the image are
//! rows, channels of the gradient are columns, and a tap is a shift of the pixels along the sum.

use graph::Shape;
use graph::ops::{Conv2dSizes, Conv2dWeightGradient};

use super::super::conv::equal_macs;
use super::super::registry::Built;
use super::super::{Kernel, Task, Work};
use super::conv::forward_frame;
use super::frame::{Frame, lay_columns, lay_pairs};
use super::rule;
use super::split::{PLAIN, in_range};
use super::store::{Store, store};
use super::tile::{BLOCK, Block, Left, Right, SIDE, Session, Tiles, words_mut};

/// Steps of 32 pixels that go through all taps and channels before the next ones: they stay in a core's
/// cache, and no number of the result is one long sum.
const BAND: usize = 16;

struct Weights {
    tiles: Tiles,
    sizes: Conv2dSizes,
    /// The image, framed, and the gradient in the same flat order of pixels.
    image: Frame,
    gradient: Frame,
    /// Where each step of the sum starts, for the first channel and tap.
    starts: Vec<usize>,
    /// Pixels that each tap is away.
    taps: Vec<usize>,
}

/// The gradient on tiles, if it is worth it.
pub(super) fn build(tiles: Tiles, op: Conv2dWeightGradient, shapes: &[&Shape]) -> Option<Built> {
    let s = op.sizes(shapes).ok()?;
    if s.groups != 1 || s.batch == 0 {
        return None;
    }
    let image = forward_frame(&s);
    let [rows, columns] = s.window.output;
    let gradient = Frame::new([rows, columns], s.outputs, [1, 1], [0, 0], [rows, image.size[1]]);
    let flat = (rows - 1) * image.size[1] + columns;
    let starts: Vec<usize> = (0..flat.div_ceil(SIDE)).map(|step| step * SIDE).collect();
    let [kh, kw] = s.window.kernel;
    let tap = |u, v| image.pixel([u * s.window.dilation[0], v * s.window.dilation[1]]);
    let taps: Vec<usize> = (0..kh * kw).map(|t| tap(t / kw, t % kw)).collect();
    let cost = rule::Cost {
        macs: equal_macs(&s) / s.batch,
        blocks: starts.len() * taps.len() * image.channel_blocks() * gradient.channel_blocks(),
        splits: image.elements() + gradient.elements(),
        narrowest: s.channels.min(s.outputs),
    };
    let kernel = Weights {
        tiles,
        sizes: s,
        image,
        gradient,
        starts,
        taps,
    };
    rule::worth(tiles, &cost).then(|| Built::new(kernel, vec![true, true]))
}

impl Weights {
    /// Words of the gradient as B.
    fn right_words(&self) -> usize {
        let steps = self.starts.len() * self.gradient.channel_blocks();
        self.tiles.words(steps * BLOCK)
    }

    /// Adds one sample; the result is empty as yet if `fresh`.
    fn sample(&self, session: &Session, left: Left, right: Right, output: &mut [f32], fresh: bool) {
        let steps = self.starts.len();
        let each = if right.plain { 2 } else { self.tiles.parts } * BLOCK;
        for first in (0..steps).step_by(BAND) {
            let starts = &self.starts[first..steps.min(first + BAND)];
            for panel in 0..self.gradient.channel_blocks() {
                let words = &right.words[(panel * steps + first) * each..];
                let right = Right { words, ..right };
                let add = !fresh || first > 0;
                self.panel(session, left, starts, right, (panel, add), output);
            }
        }
    }

    /// All taps and channels of the image for one panel of the gradient's.
    fn panel(
        &self,
        session: &Session,
        left: Left,
        starts: &[usize],
        right: Right,
        (panel, accumulate): (usize, bool),
        output: &mut [f32],
    ) {
        let (channels, outputs) = (self.sizes.channels, self.sizes.outputs);
        let mut block = Block::ZERO;
        for channel in (0..channels).step_by(SIDE) {
            for (tap, shift) in self.taps.iter().enumerate() {
                let at = channel * self.image.pixels() + shift;
                session.product(&Left { at, ..left }, starts, &right, &mut block);
                let how = Store {
                    skip: 0,
                    rows: SIDE.min(channels - channel),
                    columns: SIDE.min(outputs - panel * SIDE),
                    stride: outputs,
                    accumulate,
                    bias: None,
                    residual: None,
                    relu: false,
                };
                let to = &mut output[(tap * channels + channel) * outputs + panel * SIDE..];
                store(self.tiles.isa, &block, to, &how);
            }
        }
    }
}

impl Kernel for Weights {
    fn work(&self) -> Work {
        let s = &self.sizes;
        Work::Reduction {
            partial: self.taps.len() * s.channels * s.outputs,
        }
    }

    fn scratch(&self) -> usize {
        (self.tiles.words(self.image.elements()) + self.right_words()).div_ceil(2)
    }

    fn run(&self, task: Task<'_>) {
        let Tiles { isa, parts, .. } = self.tiles;
        let w = &self.sizes.window;
        let images = task
            .input(0)
            .chunks_exact(w.image[0] * w.image[1] * self.sizes.channels);
        let gradients = task
            .input(1)
            .chunks_exact(w.output[0] * w.output[1] * self.sizes.outputs);
        let scratch = words_mut(&mut task.scratch[..self.scratch()]);
        let (a, b) = scratch.split_at_mut(self.tiles.words(self.image.elements()));
        let session = Session::open(self.tiles);
        for (index, (image, gradient)) in images.zip(gradients).enumerate() {
            // Both or none: see `fallback::ABSENT`.
            let parts = match in_range(isa, image) && in_range(isa, gradient) {
                true => parts,
                false => PLAIN,
            };
            lay_columns(isa, &self.image, image, parts, a);
            lay_pairs(isa, &self.gradient, gradient, self.starts.len(), parts, b);
            let plain = parts == PLAIN;
            let left = Left {
                words: a,
                plain,
                plane: self.image.elements(),
                row: self.image.pixels(),
                at: 0,
            };
            let right = Right { words: b, plain };
            self.sample(&session, left, right, task.output, task.fresh && index == 0);
        }
    }
}

//! Convolution, and its way back to the image, of small images: samples are rows (`stack`). Pieces are panels of the
//! result's channels, which [`Joined`] puts together.

use graph::ops::Conv2dSizes;

use super::super::joined::Joined;
use super::super::registry::Built;
use super::super::short::NumbersMut;
use super::super::{BuildContext, Kernel, Task, Work};
use super::planes::{Planes, Side};
use super::rule;
use super::split::Floor;
use super::stack::{Form, Meeting, Stack, meetings, suits};
use super::store::{Store, store};
use super::tile::{Block, SIDE, Session, Starts, Tiles, Turns};
use crate::plan::Epilogue;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Forward,
    Back,
}

/// A pass from images to images, by panels.
struct Stacked {
    from: Stack,
    weights: Planes,
    /// Whether a piece packs its weights itself, into memory that stays near: each panel is read by one piece alone.
    packs: bool,
    /// For each pixel of the result: the pixels that it is made of, and the number of the tap among those that meet
    /// any.
    sources: Vec<Vec<(usize, usize)>>,
    /// The same as steps of the sum.
    starts: Vec<Starts>,
    /// Taps that meet any pixel.
    taps: usize,
}

/// The pass with samples as rows, if it suits and is worth it.
pub(super) fn build(
    context: &BuildContext,
    tiles: Tiles,
    epilogue: Epilogue,
    s: &Conv2dSizes,
    way: Way,
) -> Option<Built> {
    if !suits(context, s) {
        return None;
    }
    let w = &s.window;
    let all = meetings(s);
    let mut taps: Vec<usize> = all.iter().map(|m| m.tap).collect();
    taps.sort_unstable();
    taps.dedup();
    let (from, result) = match way {
        Way::Forward => ((w.image, s.channels), (w.output, s.outputs)),
        Way::Back => ((w.output, s.outputs), (w.image, s.channels)),
    };
    let from = Stack {
        tiles,
        form: Form::Samples,
        samples: s.batch,
        pixels: from.0[0] * from.0[1],
        channels: from.1,
    };
    let weights = weights(tiles, s, way, &taps);
    let mut sources = vec![Vec::new(); result.0[0] * result.0[1]];
    for Meeting { output, image, tap } in all {
        let (from, to) = match way {
            Way::Forward => (image, output),
            Way::Back => (output, image),
        };
        sources[to].push((from, taps.binary_search(&tap).ok()?));
    }
    let steps = |sources: &Vec<(usize, usize)>| {
        let blocks = (0..from.blocks()).flat_map(|block| sources.iter().map(move |source| (block, source)));
        let pair = |(block, &(pixel, tap)): (usize, &(usize, usize))| {
            [from.at(pixel, block, 0), block * taps.len() + tap]
        };
        Starts::paired(blocks.map(pair).collect())
    };
    let starts: Vec<Starts> = sources.iter().map(steps).collect();
    let cost = rule::Cost {
        macs: s.macs(),
        blocks: starts.iter().map(Starts::len).sum::<usize>() * from.high() * weights.panels(),
        splits: s.batch * (from.pixels * from.channels + sources.len() * result.1),
        weights: weights.steps.len() * SIDE * weights.lines,
        packing: true,
        narrowest: s.channels.min(s.outputs),
    };
    if !rule::worth(tiles, &cost) {
        return None;
    }
    let joined = Joined {
        isa: tiles.isa,
        output: [s.batch * result.0[0], result.0[1], result.1],
        epilogue,
    };
    let stacked = Stacked {
        from: from.clone(),
        weights: weights.clone(),
        packs: context.trains,
        sources,
        starts,
        taps: taps.len(),
    };
    let elements = weights.panels() * stacked.each();
    let built = Built::new(joined, vec![]).packing(0, from);
    let built = match context.trains {
        true => built,
        false => built.packing(1, weights),
    };
    Some(built.with(0).with(1).after(stacked, elements))
}

/// The weights as B, block after block of what is summed, in each the taps that meet any pixel.
fn weights(tiles: Tiles, s: &Conv2dSizes, way: Way, taps: &[usize]) -> Planes {
    let (depth, lines) = match way {
        Way::Forward => (s.channels, s.outputs),
        Way::Back => (s.outputs, s.channels),
    };
    let (along, across) = match way {
        Way::Forward => (s.outputs, 1),
        Way::Back => (1, s.outputs),
    };
    let step = |first: usize, tap: usize| {
        let start = tap * s.channels * s.outputs + first * along;
        (start, SIDE.min(depth - first))
    };
    let blocks = (0..depth).step_by(SIDE);
    Planes {
        tiles,
        side: Side::Right,
        steps: blocks
            .flat_map(|first| taps.iter().map(move |&tap| step(first, tap)))
            .collect(),
        along,
        across,
        lines,
        floor: Floor::High,
        fit: depth.div_ceil(SIDE) * taps.len(),
    }
}

impl Stacked {
    /// Elements of a panel.
    fn each(&self) -> usize {
        self.from.samples * self.sources.len() * SIDE
    }

    /// The block of 32 samples that was made for a pixel, into its panel `[sample][pixel][32]`.
    fn put(&self, (samples, pixel): (usize, usize), block: &Block, panel: &mut [f32]) {
        let (first, pixels) = (samples * SIDE, self.sources.len());
        let how = Store {
            skip: 0,
            rows: SIDE.min(self.from.samples - first),
            columns: SIDE,
            stride: pixels * SIDE,
            accumulate: false,
            bias: None,
            residual: None,
            relu: false,
        };
        let at = (first * pixels + pixel) * SIDE;
        store(
            self.from.tiles.isa,
            block,
            NumbersMut::F32(&mut panel[at..]),
            &how,
        );
    }

    /// A panel straight from numbers that cannot be split.
    fn plainly(&self, (x, weights): (&[f32], &[f32]), panel: usize, to: &mut [f32]) {
        let (pixels, channels) = (self.sources.len(), self.from.channels);
        let lines = self.weights.lines_of(panel);
        to.fill(0.0);
        for (at, to) in to.chunks_exact_mut(SIDE).enumerate() {
            let (sample, pixel) = (at / pixels, at % pixels);
            for &(from, tap) in &self.sources[pixel] {
                let x = &x[(sample * self.from.pixels + from) * channels..][..channels];
                for (block, x) in x.chunks(SIDE).enumerate() {
                    let (start, _) = self.weights.steps[block * self.taps + tap];
                    for (k, x) in x.iter().enumerate() {
                        let row = start + k * self.weights.along + panel * SIDE * self.weights.across;
                        for (line, sum) in to[..lines].iter_mut().enumerate() {
                            *sum = x.mul_add(weights[row + line * self.weights.across], *sum);
                        }
                    }
                }
            }
        }
    }
}

impl Kernel for Stacked {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.weights.panels(),
            elements: self.each(),
        }
    }

    fn scratch(&self) -> usize {
        if self.packs {
            self.weights.panel_elements()
        } else {
            0
        }
    }

    fn run(&self, task: Task<'_>) {
        let (x, weights) = (task.input(0), task.input(1));
        let last = task.operands.len() - 1;
        let plain = (task.input(last - 1), task.input(last));
        let scratch = &mut task.scratch[..self.scratch()];
        let split = self.from.is_split(x);
        let session = Session::open(self.from.tiles);
        let panels = task.output.chunks_exact_mut(self.each());
        for (panel, to) in task.range.clone().zip(panels) {
            let right = match self.packs {
                true => {
                    self.weights.write(weights, panel, scratch);
                    self.weights.right(scratch, 0, 0)
                }
                false => self.weights.right(weights, panel, 0),
            };
            if !split || right.plain {
                self.plainly(plain, panel, to);
                continue;
            }
            let mut turns = Turns::new();
            for samples in 0..self.from.high() {
                let left = self.from.left(x, 0, samples);
                for (pixel, starts) in self.starts.iter().enumerate() {
                    let place = (samples, pixel);
                    if let Some((done, block)) = turns.next(&session, (&left, starts, &right), place) {
                        self.put(done, block, to);
                    }
                }
            }
            if let Some((done, block)) = turns.last() {
                self.put(done, block, to);
            }
        }
    }
}

//! What a convolution from an image to an image is made of: forward, or back to the input, where a stride s
//! makes s² phases with a part of the taps each.

use std::ops::Range;

use graph::ops::Conv2dSizes;

use super::geometry::{Axis, Cut, Region};
use crate::kernels::matmul::panel_width;
use crate::kernels::pack::{Pack, Source};
use crate::kernels::{BuildContext, Reading};

/// Result pixels (i·step + first) that read their source in the same way.
pub(super) struct Phase {
    pub rows: Axis,
    pub columns: Axis,
    pub first: [usize; 2],
    pub regions: Vec<Region>,
}

/// A pass from an image `source` to an image `result`, each rows × columns × channels.
pub(super) struct Pass {
    pub source: [usize; 3],
    pub result: [usize; 3],
    pub groups: usize,
    pub kernel: [usize; 2],
    /// From a pixel of a phase to its next, in the result.
    pub step: [usize; 2],
    pub phases: Vec<Phase>,
    pub pack: Pack,
}

impl Pass {
    /// y = x ⋆ w.
    pub(super) fn forward(context: &BuildContext, s: &Conv2dSizes) -> Self {
        let w = &s.window;
        let pack = Pack {
            rows: w.kernel[0] * w.kernel[1] * s.channels / s.groups,
            columns: s.outputs / s.groups,
            width: panel_width(context.isa),
            source: Source::Grouped { groups: s.groups },
        };
        let pass = Self {
            source: [w.image[0], w.image[1], s.channels],
            result: [w.output[0], w.output[1], s.outputs],
            groups: s.groups,
            kernel: w.kernel,
            step: [1, 1],
            phases: Vec::new(),
            pack,
        };
        pass.with_phases(vec![(Axis::forward(w, 0), Axis::forward(w, 1), [0, 0])])
    }

    /// The gradient of x: each of the stride² phases of the image has its own taps.
    pub(super) fn backward(context: &BuildContext, s: &Conv2dSizes) -> Self {
        let w = &s.window;
        let taps = w.kernel[0] * w.kernel[1];
        let pack = Pack {
            rows: taps * s.outputs / s.groups,
            columns: s.channels / s.groups,
            width: panel_width(context.isa),
            source: Source::Backward {
                taps,
                groups: s.groups,
            },
        };
        let pass = Self {
            source: [w.output[0], w.output[1], s.outputs],
            result: [w.image[0], w.image[1], s.channels],
            groups: s.groups,
            kernel: w.kernel,
            step: w.stride,
            phases: Vec::new(),
            pack,
        };
        let phases = (0..w.stride[0]).flat_map(|a| (0..w.stride[1]).map(move |b| [a, b]));
        let axes = |p: [usize; 2]| (Axis::backward(w, 0, p[0]), Axis::backward(w, 1, p[1]), p);
        pass.with_phases(phases.map(axes).collect())
    }

    fn with_phases(mut self, axes: Vec<(Axis, Axis, [usize; 2])>) -> Self {
        let phase = |(rows, columns, first): (Axis, Axis, [usize; 2])| {
            let cut = Cut {
                rows: &rows,
                columns: &columns,
                kernel_columns: self.kernel[1],
                channels: self.source[2],
                depth: self.depth(),
                b_row: self.pack.width,
            };
            let regions = cut.regions();
            Phase {
                rows,
                columns,
                first,
                regions,
            }
        };
        self.phases = axes.into_iter().map(phase).collect();
        self
    }

    /// Channels that a tap reads.
    pub(super) fn depth(&self) -> usize {
        self.source[2] / self.groups
    }

    /// How rows of the result read rows of the source.
    pub(super) fn reading(&self) -> Reading {
        let readings = self.phases.iter().map(|phase| phase.rows.reading());
        let farthest = readings.max_by_key(|reading| reading.ahead);
        Reading {
            up: self.step[0],
            ..farthest.unwrap_or(Reading::same(self.source[0]))
        }
    }

    /// Elements of one sample of the source and of the result.
    pub(super) fn elements(&self) -> [usize; 2] {
        [self.source.iter().product(), self.result.iter().product()]
    }

    /// First result channel of a group's panel.
    pub(super) fn column(&self, group: usize, panel: usize) -> usize {
        group * (self.result[2] / self.groups) + panel * self.pack.width
    }

    /// Rows of a phase that lie in some rows of the result.
    pub(super) fn rows_of(&self, phase: &Phase, rows: &Range<usize>) -> Range<usize> {
        let within = |row: usize| {
            let ahead = row.saturating_sub(phase.first[0]).div_ceil(self.step[0]);
            ahead.min(phase.rows.count)
        };
        within(rows.start)..within(rows.end)
    }

    /// Element of a sample of the result where pixel (i, j) of a phase lies.
    pub(super) fn place(&self, phase: &Phase, i: usize, j: usize) -> usize {
        let row = i * self.step[0] + phase.first[0];
        let column = j * self.step[1] + phase.first[1];
        (row * self.result[1] + column) * self.result[2]
    }
}

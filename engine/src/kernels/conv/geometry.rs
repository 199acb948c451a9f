//! Which pixels and taps meet: a pass over an image cut into regions in which every pixel has the same
//! taps inside the image, so that no tap needs a branch and nothing needs to be padded or copied.

use std::ops::Range;

use graph::ops::BoundWindow;

use crate::kernels::{Reading, Start};

/// How one axis of a result reads one axis of its source.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    /// Positions of the result that this pass makes.
    pub count: usize,
    /// From one of them to the next, in the source.
    pub step: usize,
    /// Size of the source.
    pub source: usize,
    /// Tap number and its distance from the source position, in ascending order of the distance.
    pub taps: Vec<(usize, isize)>,
}

/// Positions with the same taps inside the source: those from `taps.start` to `taps.end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interval {
    pub at: Range<usize>,
    pub taps: Range<usize>,
}

impl Axis {
    /// The way of a convolution: position i reads i·s + u·d − p.
    pub(super) fn forward(w: &BoundWindow, axis: usize) -> Self {
        let distance = |u: usize| (u * w.dilation[axis]) as isize - w.padding[2 * axis] as isize;
        Self {
            count: w.output[axis],
            step: w.stride[axis],
            source: w.image[axis],
            taps: (0..w.kernel[axis]).map(|u| (u, distance(u))).collect(),
        }
    }

    /// The way back: image position i·s + phase reads (i·s + phase + p − u·d)/s of the result, for the taps
    /// where that is a whole number. Taps are numbered from the last to the first.
    pub(super) fn backward(w: &BoundWindow, axis: usize, phase: usize) -> Self {
        let stride = w.stride[axis] as isize;
        let number = |t: usize| {
            let tap = w.kernel[axis] - 1 - t;
            let ahead = (phase + w.padding[2 * axis]) as isize - (tap * w.dilation[axis]) as isize;
            (ahead.rem_euclid(stride) == 0).then_some((t, ahead.div_euclid(stride)))
        };
        Self {
            count: w.image[axis].saturating_sub(phase).div_ceil(w.stride[axis]),
            step: 1,
            source: w.output[axis],
            taps: (0..w.kernel[axis]).filter_map(number).collect(),
        }
    }

    /// How positions read the source, in order.
    pub(super) fn reading(&self) -> Reading {
        let farthest = self.taps.last().map_or(0, |&(_, distance)| distance);
        Reading {
            rows: self.source,
            step: self.step,
            ahead: farthest + 1 - self.step as isize,
            up: 1,
        }
    }

    /// The positions, cut where the set of taps inside the source changes.
    pub(super) fn intervals(&self) -> Vec<Interval> {
        let mut all: Vec<Interval> = Vec::new();
        for i in 0..self.count {
            let inside = |&(_, distance): &(usize, isize)| {
                let at = (i * self.step) as isize + distance;
                (0..self.source as isize).contains(&at)
            };
            let first = self.taps.iter().position(inside).unwrap_or(0);
            let count = self.taps.iter().filter(|t| inside(t)).count();
            let taps = first..first + count;
            match all.last_mut() {
                Some(last) if last.taps == taps => last.at.end = i + 1,
                _ => all.push(Interval { at: i..i + 1, taps }),
            }
        }
        all
    }
}

/// Pixels of a result that have the same taps.
#[derive(Debug, Clone)]
pub(super) struct Region {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    /// Where the taps begin, counted in A from pixel (row·step, column·step) of the source plus `origin`.
    pub starts: Vec<Start>,
    pub origin: isize,
    /// Columns of A that each start is good for.
    pub depth: usize,
}

/// What the regions of a pass are cut from.
pub(super) struct Cut<'a> {
    pub rows: &'a Axis,
    pub columns: &'a Axis,
    /// Taps of one kernel row.
    pub kernel_columns: usize,
    /// Channels of the source, and those that a tap reads.
    pub channels: usize,
    pub depth: usize,
    /// Elements from one row of the packed weights to the next.
    pub b_row: usize,
}

impl Cut<'_> {
    /// The regions: intervals of rows times intervals of columns.
    pub(super) fn regions(&self) -> Vec<Region> {
        let columns = self.columns.intervals();
        self.rows
            .intervals()
            .iter()
            .flat_map(|rows| columns.iter().map(|columns| self.region(rows, columns)))
            .collect()
    }

    fn region(&self, rows: &Interval, columns: &Interval) -> Region {
        let (down, along) = (
            &self.rows.taps[rows.taps.clone()],
            &self.columns.taps[columns.taps.clone()],
        );
        // Neighbouring taps of a row are one matrix where they are neighbours in source and weights.
        let pairs = along.windows(2);
        let neighbours = self.depth == self.channels
            && pairs
                .into_iter()
                .all(|t| t[1].0 == t[0].0 + 1 && t[1].1 == t[0].1 + 1);
        let (along, depth) = match neighbours && !along.is_empty() {
            true => (&along[..1], along.len() * self.depth),
            false => (along, self.depth),
        };
        let place =
            |(dy, dx): (isize, isize)| (dy * self.columns.source as isize + dx) * self.channels as isize;
        let taps = || down.iter().flat_map(|&d| along.iter().map(move |&a| (d, a)));
        let origin = taps().map(|(d, a)| place((d.1, a.1))).min().unwrap_or(0);
        let starts = taps().map(|(d, a)| Start {
            a: (place((d.1, a.1)) - origin) as usize,
            b: (d.0 * self.kernel_columns + a.0) * self.depth * self.b_row,
        });
        Region {
            rows: rows.at.clone(),
            columns: columns.at.clone(),
            starts: starts.collect(),
            origin,
            depth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(
        image: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        padding: usize,
    ) -> Option<BoundWindow> {
        let reach = dilation * (kernel - 1) + 1;
        let output = (image + 2 * padding).checked_sub(reach)? / stride + 1;
        Some(BoundWindow {
            image: [image; 2],
            kernel: [kernel; 2],
            output: [output; 2],
            padding: [padding; 4],
            stride: [stride; 2],
            dilation: [dilation; 2],
        })
    }

    proptest! {
        /// Every pair of positions that a convolution joins is met once, forward and back.
        #[test]
        fn every_product_is_met_once(
            image in 1usize..12, kernel in 1usize..5, stride in 1usize..4, dilation in 1usize..3, padding in 0usize..4,
        ) {
            let Some(w) = window(image, kernel, stride, dilation, padding) else { return Ok(()) };
            let mut expected = Vec::new();
            for i in 0..w.output[0] { for u in 0..kernel {
                let at = (i * stride + u * dilation).wrapping_sub(padding);
                if at < image { expected.push((at, i, u)); }
            } }
            expected.sort_unstable();
            let forward = Axis::forward(&w, 0);
            let mut met = Vec::new();
            for part in forward.intervals() { for i in part.at { for &(u, d) in &forward.taps[part.taps.clone()] {
                met.push((((i * forward.step) as isize + d) as usize, i, u));
            } } }
            met.sort_unstable();
            prop_assert_eq!(&met, &expected);
            let mut back = Vec::new();
            for phase in 0..stride {
                let axis = Axis::backward(&w, 0, phase);
                for part in axis.intervals() { for i in part.at { for &(t, d) in &axis.taps[part.taps.clone()] {
                    back.push((i * stride + phase, (i as isize + d) as usize, kernel - 1 - t));
                } } }
            }
            back.sort_unstable();
            prop_assert_eq!(&back, &expected);
        }
    }
}

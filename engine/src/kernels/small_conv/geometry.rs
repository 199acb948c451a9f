//! Where windows, taps and patches lie in memory.

use crate::plan::PooledConv;

/// One sample with zeros around it, and some numbers behind it that a vector may read or write.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Rows, and elements of a row, of the image.
    image: [usize; 2],
    /// The same of the frame.
    framed: [usize; 2],
    /// Row and element at which the image begins.
    origin: [usize; 2],
    slack: usize,
    /// Channels of the image, and elements from one pixel of the frame to the next.
    pixel: [usize; 2],
    /// Channels that lie in planes of their own.
    planes: usize,
}

impl Frame {
    /// The frame in which every tap of every window lies, with `slack` elements behind it. Its pixels are
    /// `pitch` elements apart and its rows a multiple of `align`.
    pub(super) fn new(what: &PooledConv, pitch: usize, align: usize, slack: usize) -> Self {
        let (w, c) = (&what.sizes.window, what.sizes.channels);
        let [top, _, left, _] = w.padding;
        let reach =
            |axis: usize| (w.output[axis] - 1) * w.stride[axis] + w.dilation[axis] * (w.kernel[axis] - 1) + 1;
        let row = reach(1).max(w.image[1] + left) * pitch;
        Self {
            image: [w.image[0], w.image[1] * c],
            framed: [reach(0).max(w.image[0] + top), row.next_multiple_of(align)],
            origin: [top, left * pitch],
            slack,
            pixel: [c, pitch],
            planes: 1,
        }
    }

    /// The same with each channel in a plane of its own.
    pub(super) fn planes(what: &PooledConv, slack: usize) -> Self {
        let channels = what.sizes.channels;
        let frame = Self::new(what, 1, 1, slack);
        Self {
            image: [frame.image[0], frame.image[1] / channels],
            pixel: [1, 1],
            planes: channels,
            ..frame
        }
    }

    pub(super) fn elements(&self) -> usize {
        self.planes * self.plane() + self.slack
    }

    /// Elements of a plane.
    pub(super) fn plane(&self) -> usize {
        self.framed[0] * self.framed[1]
    }

    /// Elements of one sample.
    pub(super) fn sample(&self) -> usize {
        self.planes * self.image[0] * self.image[1]
    }

    /// Elements from one row of the frame to the next.
    pub(super) fn row(&self) -> usize {
        self.framed[1]
    }

    /// Writes a sample into the frame.
    pub(super) fn lay(&self, sample: &[f32], frame: &mut [f32]) {
        let behind = self.framed[0] * self.framed[1];
        if self.framed == self.image {
            frame[..behind].copy_from_slice(sample);
            return frame[behind..].fill(0.0);
        }
        frame.fill(0.0);
        let rows = frame[self.origin[0] * self.framed[1]..].chunks_exact_mut(self.framed[1]);
        for (to, from) in rows.zip(sample.chunks_exact(self.image[1])) {
            to[self.origin[1]..][..self.image[1]].copy_from_slice(from);
        }
    }

    /// Writes a sample into the frame's planes.
    pub(super) fn lay_planes(&self, sample: &[f32], frame: &mut [f32]) {
        if self.planes == 1 {
            return self.lay(sample, frame);
        }
        frame.fill(0.0);
        for (c, plane) in frame.chunks_exact_mut(self.plane()).take(self.planes).enumerate() {
            let rows = plane[self.origin[0] * self.framed[1]..].chunks_exact_mut(self.framed[1]);
            for (to, from) in rows.zip(sample.chunks_exact(self.planes * self.image[1])) {
                let from = from[c..].iter().step_by(self.planes);
                to[self.origin[1]..]
                    .iter_mut()
                    .zip(from)
                    .for_each(|(to, x)| *to = *x);
            }
        }
    }

    /// Takes a sample out of the frame.
    pub(super) fn take(&self, frame: &[f32], sample: &mut [f32]) {
        let rows = frame[self.origin[0] * self.framed[1]..].chunks_exact(self.framed[1]);
        for (from, to) in rows.zip(sample.chunks_exact_mut(self.image[1])) {
            let from = &from[self.origin[1]..];
            match self.pixel {
                [c, pitch] if c == pitch => to.copy_from_slice(&from[..self.image[1]]),
                [c, pitch] if pitch <= 8 => close_up::<8>(from, pitch, to, c),
                [c, pitch] => close_up::<16>(from, pitch, to, c),
            }
        }
    }
}

/// Copies pixels of `c` elements, `pitch` apart, to where they are neighbours. `N` elements are copied at a
/// time, whose rest the next pixel overwrites.
fn close_up<const N: usize>(from: &[f32], pitch: usize, to: &mut [f32], c: usize) {
    let mut at = 0;
    for from in from.chunks(pitch) {
        match (from.first_chunk::<N>(), to.get_mut(at..at + N)) {
            (Some(from), Some(to)) if N <= pitch => to.copy_from_slice(from),
            _ => {
                let rest = (to.len() - at).min(c);
                to[at..at + rest].copy_from_slice(&from[..rest]);
            }
        }
        at += c;
        if at >= to.len() {
            return;
        }
    }
}

/// A number for each choice.
pub(super) fn table(numbers: impl Iterator<Item = u32>) -> [u32; 16] {
    let mut table = [0; 16];
    table.iter_mut().zip(numbers).for_each(|(to, x)| *to = x);
    table
}

/// Where the pixels of the pooled result and the taps of its windows begin, in elements of a frame.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// Of each pixel, the first tap of its window.
    pub(super) pixels: Vec<u32>,
    /// From there to the tap of each choice.
    pub(super) taps: [u32; 16],
}

impl Places {
    /// In an image whose rows are `row` elements apart and whose pixels are `column` apart.
    pub(super) fn new(what: &PooledConv, row: usize, column: usize) -> Self {
        let pool = &what.pool;
        let at = |i: usize, j: usize| (i * row + j * column) as u32;
        let grid = |[rows, columns]: [usize; 2], step: [usize; 2]| {
            (0..rows).flat_map(move |i| (0..columns).map(move |j| at(i * step[0], j * step[1])))
        };
        let pixels = grid(pool.output, pool.stride).collect();
        // Choice 0 stands for none; where it points does not matter.
        let taps = table([0].into_iter().chain(grid(pool.kernel, pool.dilation)));
        Self { pixels, taps }
    }

    /// In the frame of the convolution's image.
    pub(super) fn in_frame(what: &PooledConv, frame: &Frame) -> Self {
        let stride = what.sizes.window.stride;
        Self::new(what, stride[0] * frame.row(), stride[1] * frame.pixel[1])
    }
}

/// One sample's maxima and its choices.
pub(super) fn parts<'a>(what: &PooledConv, sample: &'a [f32]) -> (&'a [f32], &'a [u8]) {
    let (maxima, choices) = sample.split_at(what.pooled());
    // SAFETY: bytes need no alignment, every bit pattern is a byte, and four stand in each element.
    let bytes = unsafe { std::slice::from_raw_parts(choices.as_ptr().cast::<u8>(), 4 * choices.len()) };
    (maxima, &bytes[..what.pooled()])
}

/// The same to be written.
pub(super) fn parts_mut<'a>(what: &PooledConv, sample: &'a mut [f32]) -> (&'a mut [f32], &'a mut [u8]) {
    let (maxima, choices) = sample.split_at_mut(what.pooled());
    (maxima, &mut bytes_mut(choices)[..what.pooled()])
}

/// The bytes of `elements`.
pub(super) fn bytes_mut(elements: &mut [f32]) -> &mut [u8] {
    // SAFETY: as in `parts`; every byte pattern is an f32.
    unsafe { std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast::<u8>(), 4 * elements.len()) }
}

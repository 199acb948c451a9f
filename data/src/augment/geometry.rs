//! One affine map for an image, its mask and its boxes.
//!
//! Coordinates are continuous: pixel (row, column) covers `[row, row + 1) x [column, column + 1)`, so that flips and
//! quarter turns about the centre take pixels to pixels exactly.

use super::Border;
use ndarray::Array2;

/// A box around an object, in pixels from the top left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    /// Upper edge.
    pub top: f32,
    /// Left edge.
    pub left: f32,
    /// Lower edge.
    pub bottom: f32,
    /// Right edge.
    pub right: f32,
}

/// Takes a point `p` of the image to `matrix · (p − centre) + centre + offset`, in (row, column) order.
///
/// ```
/// use graticule_data::augment::{BoundingBox, Geometry};
/// let mut mirror = Geometry::identity(10, 20);
/// mirror.flip(true, false);
/// let moved = mirror.move_box(BoundingBox { top: 1.0, left: 0.0, bottom: 3.0, right: 5.0 });
/// assert_eq!(moved, Some(BoundingBox { top: 1.0, left: 15.0, bottom: 3.0, right: 20.0 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    height: usize,
    width: usize,
    matrix: [[f64; 2]; 2],
    offset: [f64; 2],
}

/// The inverse map at pixel centres: source of output pixel (0, 0), and steps for one row and one column.
struct Pull {
    start: [f64; 2],
    row: [f64; 2],
    column: [f64; 2],
}

impl Geometry {
    /// Leaves images of this size as they are.
    pub fn identity(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            matrix: [[1.0, 0.0], [0.0, 1.0]],
            offset: [0.0, 0.0],
        }
    }

    /// Then mirrors left and right, top and bottom.
    pub fn flip(&mut self, horizontal: bool, vertical: bool) {
        let sign = |flipped: bool| if flipped { -1.0 } else { 1.0 };
        self.then([[sign(vertical), 0.0], [0.0, sign(horizontal)]]);
    }

    /// Then turns by `turns` times 90 degrees, counter-clockwise; odd numbers need a square image.
    pub fn quarter_turn(&mut self, turns: u8) {
        for _ in 0..turns % 4 {
            self.then([[0.0, -1.0], [1.0, 0.0]]);
        }
    }

    /// Then turns by `angle` radians, counter-clockwise, and scales by `factor`.
    pub fn turn_and_scale(&mut self, angle: f64, factor: f64) {
        let (sin, cos) = angle.sin_cos();
        self.then([[factor * cos, -factor * sin], [factor * sin, factor * cos]]);
    }

    /// Then shifts by so many pixels down and right.
    pub fn shift(&mut self, down: f64, right: f64) {
        self.offset[0] += down;
        self.offset[1] += right;
    }

    fn then(&mut self, m: [[f64; 2]; 2]) {
        let times = |v: [f64; 2]| [m[0][0] * v[0] + m[0][1] * v[1], m[1][0] * v[0] + m[1][1] * v[1]];
        let [[a, b], [c, d]] = self.matrix;
        let ([a, c], [b, d]) = (times([a, c]), times([b, d]));
        self.matrix = [[a, b], [c, d]];
        self.offset = times(self.offset);
    }

    /// Where a point of the image goes.
    pub fn move_point(&self, [row, column]: [f64; 2]) -> [f64; 2] {
        let [cy, cx] = self.centre();
        let (y, x) = (row - cy, column - cx);
        let [[a, b], [c, d]] = self.matrix;
        [
            a * y + b * x + cy + self.offset[0],
            c * y + d * x + cx + self.offset[1],
        ]
    }

    /// The upright box around the moved corners, cut at the edge of the image; `None` where it lies outside.
    pub fn move_box(&self, b: BoundingBox) -> Option<BoundingBox> {
        let corners = [
            [b.top, b.left],
            [b.top, b.right],
            [b.bottom, b.left],
            [b.bottom, b.right],
        ];
        let moved = corners.map(|corner| self.move_point(corner.map(f64::from)));
        let low = |axis: usize| {
            moved
                .iter()
                .map(|p| p[axis])
                .fold(f64::INFINITY, f64::min)
                .max(0.0) as f32
        };
        let high = |axis: usize, end: usize| {
            moved
                .iter()
                .map(|p| p[axis])
                .fold(f64::NEG_INFINITY, f64::max)
                .min(end as f64) as f32
        };
        let moved = BoundingBox {
            top: low(0),
            left: low(1),
            bottom: high(0, self.height),
            right: high(1, self.width),
        };
        (moved.top < moved.bottom && moved.left < moved.right).then_some(moved)
    }

    /// Moves a mask of class values: each pixel takes the value of the nearest one, and `outside` in the gaps.
    pub fn move_mask(&self, mask: &Array2<u8>, outside: u8) -> Array2<u8> {
        let pull = self.pull();
        Array2::from_shape_fn(mask.dim(), |(row, column)| {
            let [y, x] = pull.at(row, column);
            let (y, x) = (y.floor(), x.floor());
            let inside = y >= 0.0 && x >= 0.0;
            mask.get((y as usize, x as usize))
                .filter(|_| inside)
                .copied()
                .unwrap_or(outside)
        })
    }

    fn centre(&self) -> [f64; 2] {
        [self.height as f64 / 2.0, self.width as f64 / 2.0]
    }

    fn pull(&self) -> Pull {
        let [[a, b], [c, d]] = self.matrix;
        let determinant = a * d - b * c;
        let inverse = [
            [d / determinant, -b / determinant],
            [-c / determinant, a / determinant],
        ];
        let [cy, cx] = self.centre();
        let (y, x) = (0.5 - cy - self.offset[0], 0.5 - cx - self.offset[1]);
        let start = [
            inverse[0][0] * y + inverse[0][1] * x + cy,
            inverse[1][0] * y + inverse[1][1] * x + cx,
        ];
        Pull {
            start,
            row: [inverse[0][0], inverse[1][0]],
            column: [inverse[0][1], inverse[1][1]],
        }
    }

    /// Moves an image of bytes and looks its values up in `table` (`[256, C]`): nearest where pixels go to pixels,
    /// else bilinear.
    pub(super) fn encode(
        &self,
        pixels: &[u8],
        channels: usize,
        table: &[f32],
        border: Border,
        out: &mut [f32],
    ) {
        let gather = Gather {
            pixels,
            table,
            border,
            size: [self.height, self.width],
            pull: self.pull(),
        };
        // A number of channels known when compiling lets the inner loops unroll.
        match channels {
            1 => gather.all(1, out),
            3 => gather.all(3, out),
            n => gather.all(n, out),
        }
    }
}

impl Pull {
    fn at(&self, row: usize, column: usize) -> [f64; 2] {
        let (r, c) = (row as f64, column as f64);
        std::array::from_fn(|axis| self.start[axis] + r * self.row[axis] + c * self.column[axis])
    }

    /// Whether every pixel centre goes to a pixel centre.
    fn is_exact(&self) -> bool {
        let whole = |v: f64| (v - v.round()).abs() < 1e-9;
        let steps = self.row.iter().chain(&self.column);
        steps.copied().all(whole) && self.start.iter().all(|s| whole(s - 0.5))
    }
}

struct Gather<'a> {
    pixels: &'a [u8],
    table: &'a [f32],
    border: Border,
    size: [usize; 2],
    pull: Pull,
}

impl Gather<'_> {
    #[inline(always)]
    fn all(&self, channels: usize, out: &mut [f32]) {
        let exact = self.pull.is_exact();
        for (row, line) in out.chunks_exact_mut(self.size[1] * channels).enumerate() {
            if exact {
                self.exact_line(channels, row, line);
            } else {
                self.smooth_line(channels, row, line);
            }
        }
    }

    #[inline(always)]
    fn exact_line(&self, channels: usize, row: usize, line: &mut [f32]) {
        let [y, x] = self.pull.at(row, 0).map(|v| v.floor() as isize);
        let [dy, dx] = self.pull.column.map(|v| v.round() as isize);
        for (column, out) in line.chunks_exact_mut(channels).enumerate() {
            let step = column as isize;
            match self.place(y + dy * step, x + dx * step) {
                Some(place) => {
                    let pixel = &self.pixels[place * channels..][..channels];
                    for c in 0..channels {
                        out[c] = self.table[usize::from(pixel[c]) * channels + c];
                    }
                }
                None => (0..channels).for_each(|c| out[c] = self.outside(c)),
            }
        }
    }

    #[inline(always)]
    fn smooth_line(&self, channels: usize, row: usize, line: &mut [f32]) {
        for (column, out) in line.chunks_exact_mut(channels).enumerate() {
            let [y, x] = self.pull.at(row, column).map(|v| v - 0.5);
            let (top, left) = (y.floor(), x.floor());
            let (fy, fx) = ((y - top) as f32, (x - left) as f32);
            let (top, left) = (top as isize, left as isize);
            let corners = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(a, b)| self.place(top + a, left + b));
            let weights = [(1.0 - fy) * (1.0 - fx), (1.0 - fy) * fx, fy * (1.0 - fx), fy * fx];
            out.fill(0.0);
            for (place, weight) in corners.into_iter().zip(weights) {
                for (c, out) in out.iter_mut().enumerate() {
                    let value = place.map_or_else(
                        || self.outside(c),
                        |place| self.table[usize::from(self.pixels[place * channels + c]) * channels + c],
                    );
                    *out += weight * value;
                }
            }
        }
    }

    fn outside(&self, channel: usize) -> f32 {
        // The mean of the training set is 0 after normalisation.
        if self.border == Border::Black {
            self.table[channel]
        } else {
            0.0
        }
    }

    /// The pixel that stands at (`y`, `x`), which may lie outside of the image.
    #[inline(always)]
    fn place(&self, y: isize, x: isize) -> Option<usize> {
        let [height, width] = self.size;
        if (y as usize) < height && (x as usize) < width {
            return Some(y as usize * width + x as usize);
        }
        let inside = |v: isize, size: usize| match self.border {
            Border::Reflect => {
                let turn = v.rem_euclid(2 * size as isize) as usize;
                turn.min(2 * size - 1 - turn)
            }
            _ => v.clamp(0, size as isize - 1) as usize,
        };
        match self.border {
            Border::Black | Border::Mean => None,
            Border::Reflect | Border::Edge => Some(inside(y, height) * width + inside(x, width)),
        }
    }
}

/// `out[i] = table[pixels[i], channel of i]`.
pub(crate) fn look_up(pixels: &[u8], table: &[f32], channels: usize, out: &mut [f32]) {
    match channels {
        1 => look_up_each(pixels, table, 1, out),
        3 => look_up_each(pixels, table, 3, out),
        n => look_up_each(pixels, table, n, out),
    }
}

#[inline(always)]
fn look_up_each(pixels: &[u8], table: &[f32], channels: usize, out: &mut [f32]) {
    for (values, bytes) in out.chunks_exact_mut(channels).zip(pixels.chunks_exact(channels)) {
        for (c, (value, &byte)) in values.iter_mut().zip(bytes).enumerate() {
            *value = table[usize::from(byte) * channels + c];
        }
    }
}

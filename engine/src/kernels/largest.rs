//! Max-pooling that nothing goes back through, channels in the lanes: each number is read where it lies, once for each
//! window that it is in.

use graph::ops::BoundWindow;

use super::registry::Built;
use super::short::{Numbers, NumbersMut};
use super::simd::{Simd, on_vectors};
use super::{BuildContext, Isa, Kernel, Shorts, Task, Work};

/// Fewer channels fill no vector, and go by rows (`pool`).
const CHANNELS: usize = 8;

/// The taps of a window that lie in the image along an axis: the first position, and how many.
type Taps = Vec<(usize, usize)>;

struct Largest {
    isa: Isa,
    work: Work,
    window: BoundWindow,
    channels: usize,
    rows: Taps,
    columns: Taps,
    shorts: Shorts,
}

/// The kernel, where it suits: every window has a tap in the image.
pub(super) fn choose(
    context: &BuildContext,
    window: &BoundWindow,
    channels: usize,
    work: Work,
) -> Option<Built> {
    let [rows, columns] = [taps(window, 0)?, taps(window, 1)?];
    let kernel = Largest {
        isa: context.isa,
        work,
        window: *window,
        channels,
        rows,
        columns,
        shorts: Shorts::default(),
    };
    (channels >= CHANNELS).then(|| Built::new(kernel, vec![work == Work::Samples]))
}

fn taps(window: &BoundWindow, axis: usize) -> Option<Taps> {
    let inside = |at: usize| {
        let mut sources = (0..window.kernel[axis]).filter_map(|tap| window.source(axis, at, tap));
        let first = sources.next()?;
        Some((first, 1 + sources.count()))
    };
    (0..window.output[axis]).map(inside).collect()
}

impl Kernel for Largest {
    fn work(&self) -> Work {
        self.work
    }

    fn shorts(&self) -> Shorts {
        let even = match self.work {
            Work::Pieces { elements, .. } => elements.is_multiple_of(2),
            _ => true,
        };
        Shorts::of([0], even)
    }

    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
        if let (true, Work::Pieces { elements, .. }) = (shorts.output, &mut self.work) {
            *elements /= 2;
        }
    }

    fn run(&self, task: Task<'_>) {
        let x = Numbers::new(task.input(0), self.shorts.has(0));
        let mut y = NumbersMut::new(task.output, self.shorts.output);
        let [image, line] = [
            self.window.image[0] * self.window.image[1] * self.channels,
            self.window.output[1] * self.channels,
        ];
        let rows = match self.work {
            Work::Pieces { count, .. } if count > 1 => task.range.clone(),
            _ => 0..self.rows.len(),
        };
        let each = rows.len() * line;
        for n in 0..y.len() / each.max(1) {
            let x = x.part(n * image, image);
            for (number, &row) in self.rows[rows.clone()].iter().enumerate() {
                self.line(x, row, y.from(n * each + number * line));
            }
        }
    }
}

impl Largest {
    /// A row of the result from the image's rows that its windows see.
    fn line(&self, x: Numbers<'_>, rows: (usize, usize), y: NumbersMut<'_>) {
        assert!(y.len() >= self.columns.len() * self.channels);
        let (of, isa) = (self, self.isa);
        on_vectors!(isa, line_with(of: &Largest, x: Numbers<'_>, rows: (usize, usize), y: NumbersMut<'_>));
    }
}

/// # Safety
/// The image has all rows, the result one.
#[inline(always)]
unsafe fn line_with<S: Simd>(of: &Largest, x: Numbers<'_>, rows: (usize, usize), y: NumbersMut<'_>) {
    // SAFETY: handed on.
    unsafe {
        match (x, y) {
            (Numbers::F32(x), NumbersMut::F32(y)) => {
                line_of::<S, false, false>(of, x.as_ptr(), rows, y.as_mut_ptr());
            }
            (Numbers::F32(x), NumbersMut::Bf16(y)) => {
                line_of::<S, false, true>(of, x.as_ptr(), rows, y.as_mut_ptr().cast());
            }
            (Numbers::Bf16(x), NumbersMut::F32(y)) => {
                line_of::<S, true, false>(of, x.as_ptr().cast(), rows, y.as_mut_ptr());
            }
            (Numbers::Bf16(x), NumbersMut::Bf16(y)) => {
                line_of::<S, true, true>(of, x.as_ptr().cast(), rows, y.as_mut_ptr().cast());
            }
        }
    }
}

/// `FROM`, `TO`: whether `x` and `y` point to bf16 numbers.
///
/// # Safety
/// As of [`line_with`].
#[inline(always)]
unsafe fn line_of<S: Simd, const FROM: bool, const TO: bool>(
    of: &Largest,
    x: *const f32,
    (top, high): (usize, usize),
    y: *mut f32,
) {
    let (w, channels) = (&of.window, of.channels);
    let [down, right] = [w.dilation[0] * w.image[1] * channels, w.dilation[1] * channels];
    for (j, &(left, wide)) in of.columns.iter().enumerate() {
        let first = (top * w.image[1] + left) * channels;
        for channel in (0..channels).step_by(S::LANES) {
            let count = (channels - channel).min(S::LANES);
            // SAFETY: the window's taps lie in the image, its maximum in the result.
            unsafe {
                let load = |at: usize| match FROM {
                    true => S::load_bf16(x.cast::<u16>().add(at), count),
                    false => S::load_first(x.add(at), count),
                };
                let mut most = load(first + channel);
                for u in 0..high {
                    for v in usize::from(u == 0)..wide {
                        let next = load(first + channel + u * down + v * right);
                        // NaN stays: the larger of it and a number is whichever comes second.
                        most = most.if_nan(most, most.max(next));
                    }
                }
                let to = j * channels + channel;
                match TO {
                    true => most.store_bf16(y.cast::<u16>().add(to), count),
                    false => most.store_first(y.add(to), count),
                }
            }
        }
    }
}

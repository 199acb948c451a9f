//! Max-pooling that remembers its choices, and the way back by them.
//!
//! A choice is one byte for each maximum: 1 + the tap of the window that held it first, or 0 where nothing
//! goes back (NaN, or a ReLU that is shut). Channels stand in the lanes.

use std::ops::Range;

use graph::ops::BoundWindow;

use super::registry::Built;
use super::short::{Numbers, NumbersMut};
use super::simd::{Portable, Simd};
use super::small_conv::listing::Listing;
use super::{BuildContext, Isa, Kernel, Shorts, Task, Work};
use crate::plan::MaxPool;

/// For each position of the result along an axis, the taps of its window that lie in the image, and where
/// the first of them does.
struct Axis {
    taps: Vec<(Range<usize>, usize)>,
    /// Whether every position of the image lies in one window and no more.
    tiled: bool,
}

impl Axis {
    fn new(window: &BoundWindow, axis: usize) -> Self {
        let inside = |at: usize| {
            let source = |tap: usize| window.source(axis, at, tap);
            let mut taps = (0..window.kernel[axis]).filter(|&tap| source(tap).is_some());
            let first = taps.next()?;
            Some((first..taps.next_back().unwrap_or(first) + 1, source(first)?))
        };
        let taps: Vec<_> = (0..window.output[axis]).filter_map(inside).collect();
        let covered: usize = taps.iter().map(|(taps, _)| taps.len()).sum();
        let apart = window.stride[axis] > window.dilation[axis] * (window.kernel[axis] - 1);
        Self {
            tiled: apart && covered == window.image[axis],
            taps,
        }
    }
}

/// Sizes and steps, in elements.
struct Geometry {
    what: MaxPool,
    rows: Axis,
    columns: Axis,
    /// From one tap to the next, down and right.
    step: [usize; 2],
}

impl Geometry {
    fn new(what: &MaxPool) -> Self {
        let (w, c) = (&what.window, what.channels);
        Self {
            rows: Axis::new(w, 0),
            columns: Axis::new(w, 1),
            step: [w.dilation[0] * w.image[1] * c, w.dilation[1] * c],
            what: what.clone(),
        }
    }

    /// Calls `visit(maximum's first channel, window)` for every window.
    #[inline(always)]
    fn each(&self, mut visit: impl FnMut(usize, Seen)) {
        let (w, c) = (&self.what.window, self.what.channels);
        let mut pixel = 0;
        for (down, row) in &self.rows.taps {
            for (right, column) in &self.columns.taps {
                let seen = Seen {
                    first: (row * w.image[1] + column) * c,
                    tap: down.start * w.kernel[1] + right.start,
                    size: [down.len(), right.len()],
                };
                visit(pixel, seen);
                pixel += c;
            }
        }
    }
}

/// A window's part that lies in the image: its first element, the tap there, rows and columns.
#[derive(Clone, Copy)]
struct Seen {
    first: usize,
    tap: usize,
    size: [usize; 2],
}

struct Forward {
    isa: Isa,
    geometry: Geometry,
    shorts: Shorts,
}

pub(crate) fn forward(context: &BuildContext, what: &MaxPool) -> Built {
    let kernel = Forward {
        isa: context.isa,
        geometry: Geometry::new(what),
        shorts: Shorts::default(),
    };
    Built::new(kernel, vec![true])
}

impl Kernel for Forward {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn shorts(&self) -> Shorts {
        Shorts::of([0], false)
    }

    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
    }

    fn run(&self, task: Task<'_>) {
        let (what, isa) = (&self.geometry.what, self.isa);
        let images = Numbers::new(task.input(0), self.shorts.has(0));
        for (n, y) in task.output.chunks_exact_mut(what.with_choices()).enumerate() {
            let (maxima, choices) = y.split_at_mut(what.pooled());
            let (maxima, choices) = (maxima.as_mut_ptr(), choices.as_mut_ptr().cast::<u8>());
            // SAFETY: image and maxima have the sizes of the geometry, and four bytes stand in each element
            // behind the maxima; `isa` was detected.
            unsafe {
                match images.part(n * what.image(), what.image()) {
                    Numbers::F32(x) => choose(isa, &self.geometry, x.as_ptr(), maxima, choices),
                    Numbers::Bf16(x) => choose_bf16(isa, &self.geometry, x.as_ptr(), maxima, choices),
                }
            }
        }
    }
}

/// Compiles a generic function over [`Listing`] for each instruction set.
macro_rules! for_each_isa {
    ($name:ident, $body:ident, ($($arg:ident: $type:ty),*)) => {
        unsafe fn $name(isa: Isa, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
            unsafe fn avx512($($arg: $type),*) {
                // SAFETY: handed on.
                unsafe { $body::<crate::kernels::simd::x86::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $type),*) {
                // SAFETY: handed on.
                unsafe { $body::<crate::kernels::simd::x86::Avx2>($($arg),*) }
            }
            // SAFETY: handed on; an `Isa` above `Scalar` is only made after the processor was asked for it.
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => avx2($($arg),*),
                    _ => $body::<Portable>($($arg),*),
                }
            }
        }
    };
}

for_each_isa!(choose, choose_f32, (geometry: &Geometry, x: *const f32, maxima: *mut f32, choices: *mut u8));
for_each_isa!(choose_bf16, choose_words, (geometry: &Geometry, x: *const u16, maxima: *mut f32, choices: *mut u8));

#[inline(always)]
unsafe fn choose_f32<S: Simd>(geometry: &Geometry, x: *const f32, maxima: *mut f32, choices: *mut u8) {
    // SAFETY: handed on.
    unsafe {
        choose_with(
            geometry,
            |at, count| S::load_first(x.add(at), count),
            maxima,
            choices,
        )
    }
}

#[inline(always)]
unsafe fn choose_words<S: Simd>(geometry: &Geometry, x: *const u16, maxima: *mut f32, choices: *mut u8) {
    // SAFETY: handed on.
    unsafe {
        choose_with(
            geometry,
            |at, count| S::load_bf16(x.add(at), count),
            maxima,
            choices,
        )
    }
}

/// `load(element, count)` gives numbers of the image.
#[inline(always)]
unsafe fn choose_with<S: Simd>(
    geometry: &Geometry,
    load: impl Fn(usize, usize) -> S,
    maxima: *mut f32,
    choices: *mut u8,
) {
    let (channels, relu) = (geometry.what.channels, geometry.what.relu);
    let ([down, right], columns) = (geometry.step, geometry.what.window.kernel[1]);
    geometry.each(|to, seen| {
        for channel in (0..channels).step_by(S::LANES) {
            let count = (channels - channel).min(S::LANES);
            // SAFETY: the window's taps lie in the image, its maxima in the result.
            unsafe {
                let at = seen.first + channel;
                let mut most = load(at, count);
                let mut choice = S::splat((seen.tap + 1) as f32);
                for u in 0..seen.size[0] {
                    for v in usize::from(u == 0)..seen.size[1] {
                        let next = load(at + u * down + v * right, count);
                        let tap = S::splat((seen.tap + u * columns + v + 1) as f32);
                        choice = next.if_greater(most, tap, choice);
                        // A comparison by which NaN stays visible.
                        most = next.if_nan(next, next.if_greater(most, next, most));
                    }
                }
                let live = match relu {
                    true => most.if_greater(S::zero(), choice, S::zero()),
                    false => most.if_nan(S::zero(), choice),
                };
                most.store_first(maxima.add(to + channel), count);
                live.store_bytes(choices.add(to + channel), count);
            }
        }
    });
}

/// The maxima without their choices.
struct Maxima {
    isa: Isa,
    what: MaxPool,
    short: bool,
}

pub(crate) fn maxima(context: &BuildContext, what: &MaxPool) -> Built {
    let kernel = Maxima {
        isa: context.isa,
        what: what.clone(),
        short: false,
    };
    Built::new(kernel, vec![true])
}

impl Kernel for Maxima {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn shorts(&self) -> Shorts {
        Shorts::of([], true)
    }

    fn shorten(&mut self, shorts: Shorts) {
        self.short = shorts.output;
    }

    fn run(&self, task: Task<'_>) {
        let samples = task.input(0).chunks_exact(self.what.with_choices());
        let mut output = NumbersMut::new(task.output, self.short);
        for (n, from) in samples.enumerate() {
            let pooled = self.what.pooled();
            output.from(n * pooled).write(self.isa, &from[..pooled]);
        }
    }
}

struct Backward {
    isa: Isa,
    geometry: Geometry,
    shorts: Shorts,
}

pub(crate) fn backward(context: &BuildContext, what: &MaxPool) -> Built {
    let kernel = Backward {
        isa: context.isa,
        geometry: Geometry::new(what),
        shorts: Shorts::default(),
    };
    Built::new(kernel, vec![true, true])
}

impl Backward {
    /// Whether every position of the image gets one number.
    fn tiled(&self) -> bool {
        self.geometry.rows.tiled && self.geometry.columns.tiled
    }
}

impl Kernel for Backward {
    fn work(&self) -> Work {
        Work::Samples
    }

    fn shorts(&self) -> Shorts {
        // Sums are made in the result.
        Shorts::of([0], self.tiled())
    }

    fn shorten(&mut self, shorts: Shorts) {
        self.shorts = shorts;
    }

    fn run(&self, task: Task<'_>) {
        let what = &self.geometry.what;
        let gradients = Numbers::new(task.input(0), self.shorts.has(0));
        let pooled = task.input(1).chunks_exact(what.with_choices());
        let mut output = NumbersMut::new(task.output, self.shorts.output);
        for (n, pooled) in pooled.enumerate() {
            let choices = pooled[what.pooled()..].as_ptr().cast::<u8>();
            let g = gradients.part(n * what.pooled(), what.pooled());
            let mut dx = output.from(n * what.image());
            if let (NumbersMut::F32(dx), false) = (&mut dx, self.tiled()) {
                dx[..what.image()].fill(0.0);
            }
            // SAFETY: as in `Forward::run`.
            unsafe { spread(self.isa, &self.geometry, g, choices, &mut dx) };
        }
    }
}

for_each_isa!(spread, spread_any, (geometry: &Geometry, g: Numbers<'_>, choices: *const u8, dx: &mut NumbersMut<'_>));

#[inline(always)]
unsafe fn spread_any<S: Listing>(
    geometry: &Geometry,
    g: Numbers<'_>,
    choices: *const u8,
    dx: &mut NumbersMut<'_>,
) {
    // SAFETY: handed on; `spread_with` stays inside the gradients and the image.
    unsafe {
        match g {
            Numbers::F32(g) => spread_from(
                geometry,
                |at, n| S::load_first(g.as_ptr().add(at), n),
                choices,
                dx,
            ),
            Numbers::Bf16(g) => {
                spread_from(geometry, |at, n| S::load_bf16(g.as_ptr().add(at), n), choices, dx)
            }
        }
    }
}

/// `load(element, count)` gives numbers of the gradient.
#[inline(always)]
unsafe fn spread_from<S: Listing>(
    geometry: &Geometry,
    load: impl Fn(usize, usize) -> S,
    choices: *const u8,
    dx: &mut NumbersMut<'_>,
) {
    let tiled = geometry.rows.tiled && geometry.columns.tiled;
    // SAFETY: handed on; what is written to and added to lies in the image.
    unsafe {
        match dx {
            NumbersMut::F32(dx) => {
                let dx = dx.as_mut_ptr();
                let write = |at: usize, count: usize, x: S| match tiled {
                    true => x.store_first(dx.add(at), count),
                    false => x
                        .fma(S::load_first(dx.add(at), count), S::splat(1.0))
                        .store_first(dx.add(at), count),
                };
                spread_with(geometry, load, choices, write);
            }
            NumbersMut::Bf16(dx) => {
                let dx = dx.as_mut_ptr();
                let write = |at: usize, count: usize, x: S| x.store_bf16(dx.add(at), count);
                spread_with(geometry, load, choices, write);
            }
        }
    }
}

/// `load(element, count)` gives numbers of the gradient, `write(element, count, numbers)` takes those of the image.
#[inline(always)]
unsafe fn spread_with<S: Listing>(
    geometry: &Geometry,
    load: impl Fn(usize, usize) -> S,
    choices: *const u8,
    write: impl Fn(usize, usize, S),
) {
    let channels = geometry.what.channels;
    let ([down, right], columns) = (geometry.step, geometry.what.window.kernel[1]);
    geometry.each(|from, seen| {
        for channel in (0..channels).step_by(S::LANES) {
            let count = (channels - channel).min(S::LANES);
            // SAFETY: as in `choose_with`.
            unsafe {
                let factor = load(from + channel, count);
                let choice = S::load_bytes(choices.add(from + channel), count);
                for u in 0..seen.size[0] {
                    for v in 0..seen.size[1] {
                        let tap = (seen.tap + u * columns + v + 1) as u32;
                        let at = seen.first + channel + u * down + v * right;
                        write(at, count, choice.where_bits(tap, factor));
                    }
                }
            }
        }
    });
}

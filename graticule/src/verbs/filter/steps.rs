//! One step of `filter`, ready to be applied.

use std::fmt;

use data::filter::{self, FilterError, Integral, PadValue, Padding, Pool, Window};
use ndarray::{Array2, Array3};

/// Emphasis keeps half of the picture and adds twice its fine detail.
const EMPHASIS: [f32; 2] = [0.5, 2.0];

/// An operation with all its settings.
#[derive(Debug, Clone)]
pub enum Step {
    Noise {
        sigma: f32,
        seed: u64,
    },
    Translate {
        right: isize,
        down: isize,
        value: PadValue,
    },
    Multiply(f32),
    Add(f32),
    Kernel {
        name: &'static str,
        weights: Array2<f32>,
        convolve: bool,
        window: Window,
    },
    Gaussian {
        sigma: f32,
        size: usize,
        window: Window,
    },
    Box {
        size: usize,
        window: Window,
    },
    Median {
        size: usize,
        window: Window,
    },
    Unsharp {
        size: usize,
        value: PadValue,
    },
    Emphasis {
        sigma: f32,
        value: PadValue,
    },
    Equalize,
    Integral,
    Pool {
        kind: Pool,
        size: usize,
        stride: usize,
        padding: Padding,
    },
}

impl Step {
    /// `[H, W, C]` in, `[H', W', C]` out.
    pub fn apply(&self, image: Array3<f32>) -> Result<Array3<f32>, FilterError> {
        let image = image.view();
        match self {
            Self::Noise { sigma, seed } => filter::gaussian_noise(image, *sigma, *seed),
            Self::Translate { right, down, value } => filter::translate(image, *right, *down, *value),
            Self::Multiply(factor) => Ok(filter::multiply(image, *factor)),
            Self::Add(offset) => Ok(filter::add(image, *offset)),
            Self::Kernel {
                weights,
                convolve: true,
                window,
                ..
            } => filter::convolve(image, weights.view(), window),
            Self::Kernel { weights, window, .. } => filter::correlate(image, weights.view(), window),
            Self::Gaussian { sigma, size, window } => filter::gaussian_blur(image, *sigma, *size, window),
            Self::Box { size, window } => filter::box_blur(image, *size, window),
            Self::Median { size, window } => filter::median(image, *size, window),
            Self::Unsharp { size, value } => filter::unsharp(image, *size, *value),
            Self::Emphasis { sigma, value } => filter::emphasis(image, *sigma, EMPHASIS, *value),
            Self::Equalize => filter::equalize(image),
            Self::Integral => Ok(Integral::of(image).sums().mapv(|sum| sum as f32)),
            Self::Pool {
                kind,
                size,
                stride,
                padding,
            } => filter::pool(image, *kind, [*size; 2], *padding, *stride),
        }
    }

    /// The word that names the step in a file name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Noise { .. } => "noise",
            Self::Translate { .. } => "translate",
            Self::Multiply(_) => "multiply",
            Self::Add(_) => "add",
            Self::Kernel { name, .. } => name,
            Self::Gaussian { .. } => "gaussian",
            Self::Box { .. } => "box",
            Self::Median { .. } => "median",
            Self::Unsharp { .. } => "unsharp",
            Self::Emphasis { .. } => "emphasis",
            Self::Equalize => "equalize",
            Self::Integral => "integral",
            Self::Pool { .. } => "pool",
        }
    }

    /// Whether `--size` says something to this step.
    pub fn has_size(&self) -> bool {
        matches!(
            self,
            Self::Gaussian { .. } | Self::Box { .. } | Self::Median { .. } | Self::Unsharp { .. }
        )
    }

    /// Whether `--sigma` says something to this step.
    pub fn has_sigma(&self) -> bool {
        matches!(self, Self::Gaussian { .. } | Self::Emphasis { .. })
    }

    /// Whether `--padding` says something to this step.
    pub fn has_padding(&self) -> bool {
        self.has_stride() || matches!(self, Self::Pool { .. })
    }

    /// Whether `--pad-value` says something to this step.
    pub fn has_pad_value(&self) -> bool {
        self.has_stride()
            || matches!(
                self,
                Self::Translate { .. } | Self::Unsharp { .. } | Self::Emphasis { .. }
            )
    }

    /// Whether `--stride` says something to this step.
    pub fn has_stride(&self) -> bool {
        let windowed = matches!(
            self,
            Self::Gaussian { .. } | Self::Box { .. } | Self::Median { .. }
        );
        windowed || matches!(self, Self::Kernel { .. })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Noise { sigma, seed } => write!(f, "{name} sigma {sigma}, seed {seed}"),
            Self::Translate { right, down, .. } => write!(f, "{name} {right},{down}"),
            Self::Multiply(value) | Self::Add(value) => write!(f, "{name} {value}"),
            Self::Kernel {
                weights, convolve, ..
            } => {
                let way = if *convolve { "convolution" } else { "correlation" };
                write!(f, "{name} {} × {} ({way})", weights.nrows(), weights.ncols())
            }
            Self::Gaussian { sigma, size, .. } => write!(f, "{name} {size} × {size}, sigma {sigma}"),
            Self::Box { size, .. } | Self::Median { size, .. } | Self::Unsharp { size, .. } => {
                write!(f, "{name} {size} × {size}")
            }
            Self::Emphasis { sigma, .. } => write!(f, "{name} sigma {sigma}"),
            Self::Equalize | Self::Integral => f.write_str(name),
            Self::Pool {
                kind, size, stride, ..
            } => {
                let kind = format!("{kind:?}").to_lowercase();
                write!(f, "{name} {kind} {size} × {size}, stride {stride}")
            }
        }
    }
}

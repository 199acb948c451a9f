//! One step of `filter`, ready to be applied.

use std::fmt;

use data::filter::{self, FilterError, Named, Window};
use ndarray::{Array2, Array3};

use super::{Args, Name};

/// An operation with all its settings.
#[derive(Debug, Clone)]
pub enum Step {
    Kernel { name: String, weights: Array2<f32>, convolve: bool, window: Window },
    Gaussian { sigma: f32, size: usize, window: Window },
}

impl Step {
    /// `[H, W, C]` in, `[H', W', C]` out.
    pub fn apply(&self, image: Array3<f32>) -> Result<Array3<f32>, FilterError> {
        let image = image.view();
        match self {
            Self::Kernel { weights, convolve: true, window, .. } => filter::convolve(image, weights.view(), window),
            Self::Kernel { weights, window, .. } => filter::correlate(image, weights.view(), window),
            Self::Gaussian { sigma, size, window } => filter::gaussian_blur(image, *sigma, *size, window),
        }
    }

    /// The word that names the step in a file name.
    pub fn name(&self) -> &str {
        match self {
            Self::Kernel { name, .. } => name,
            Self::Gaussian { .. } => "gaussian",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { name, weights, convolve, .. } => {
                let way = if *convolve { "convolution" } else { "correlation" };
                write!(f, "{name} {} × {} ({way})", weights.nrows(), weights.ncols())
            }
            Self::Gaussian { sigma, size, .. } => write!(f, "gaussian {size} × {size}, sigma {sigma}"),
        }
    }
}

impl Args {
    /// The step that a name stands for, with the settings of the command line.
    pub(super) fn named(&self, name: Name) -> Step {
        let window = self.window();
        let kernel = |name: &str, kernel: Named| Step::Kernel {
            name: name.into(),
            weights: kernel.weights(),
            convolve: self.convolve,
            window,
        };
        match name {
            Name::Identity => kernel("identity", Named::Identity),
            Name::Edge => kernel("edge", Named::Edge1),
            Name::Edge2 => kernel("edge2", Named::Edge2),
            Name::Edge3 => kernel("edge3", Named::Edge3),
            Name::Sharpen => kernel("sharpen", Named::Sharpen),
            Name::Gaussian3 => kernel("gaussian3", Named::Gaussian3),
            Name::Prewitt => kernel("prewitt", Named::PrewittVertical),
            Name::PrewittHorizontal => kernel("prewitt-horizontal", Named::PrewittHorizontal),
            Name::Sobel => kernel("sobel", Named::SobelVertical),
            Name::SobelHorizontal => kernel("sobel-horizontal", Named::SobelHorizontal),
            Name::Laplacian => kernel("laplacian", Named::Laplacian),
            Name::Gaussian => {
                let size = self.size.unwrap_or_else(|| filter::gaussian_size(self.sigma));
                Step::Gaussian { sigma: self.sigma, size, window }
            }
        }
    }
}

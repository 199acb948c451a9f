//! From the command line to the steps, the grey rule and the output's name.

use std::path::PathBuf;

use data::filter::{Named, PadValue, Padding, Window, gaussian_size};

use super::picture::Grey;
use super::steps::Step;
use super::{Args, Name, parse};
use crate::error::{Failure, Outcome};

impl Args {
    /// All steps in their order.
    ///
    /// A setting that no step would hear is wrong usage, not silence.
    pub(super) fn steps(&self) -> Outcome<Vec<Step>> {
        let window = self.window();
        let mut steps = self.pointwise();
        steps.extend(self.kernel.iter().map(|&name| self.named(name)));
        if let Some(weights) = &self.matrix {
            let weights = weights.clone();
            steps.push(Step::Kernel {
                name: "matrix",
                weights,
                convolve: self.convolve,
                window,
            });
        }
        if let Some(values) = &self.pool {
            let (kind, size, stride) =
                parse::pool(values).map_err(|told| Failure::usage(told).at("--pool"))?;
            steps.push(Step::Pool {
                kind,
                size,
                stride,
                padding: self.padding.unwrap_or(Padding::Valid),
            });
        }
        if steps.is_empty() {
            return Err(Failure::usage("no operation was asked for")
                .help("name one, such as `--kernel edge3`, or give a kernel with `--matrix \"0 1 0; 1 -4 1; 0 1 0\"`")
                .help("`graticule filter --help` lists them all"));
        }
        self.check_heard(&steps)?;
        Ok(steps)
    }

    fn pointwise(&self) -> Vec<Step> {
        let noise = self.noise.map(|sigma| Step::Noise {
            sigma,
            seed: self.seed.unwrap_or(0),
        });
        let moved = self.translate.map(|[right, down]| Step::Translate {
            right,
            down,
            value: self.pad_value.unwrap_or_default(),
        });
        let scaled = self.multiply.map(Step::Multiply);
        [noise, moved, scaled, self.add.map(Step::Add)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn check_heard(&self, steps: &[Step]) -> Outcome {
        let is_kernel = |step: &Step| matches!(step, Step::Kernel { .. });
        let rules = [
            ("--size", self.size.is_some(), steps.iter().any(Step::has_size)),
            ("--sigma", self.sigma.is_some(), steps.iter().any(Step::has_sigma)),
            (
                "--stride",
                self.stride.is_some(),
                steps.iter().any(Step::has_stride),
            ),
            (
                "--padding",
                self.padding.is_some(),
                steps.iter().any(Step::has_padding),
            ),
            (
                "--pad-value",
                self.pad_value.is_some(),
                steps.iter().any(Step::has_pad_value),
            ),
            ("--convolve", self.convolve, steps.iter().any(is_kernel)),
        ];
        for (flag, given, heard) in rules {
            if given && !heard {
                let names: Vec<_> = steps.iter().map(Step::name).collect();
                return Err(
                    Failure::usage(format!("{flag} means nothing to {}", names.join(", ")))
                        .help(format!("leave {flag} out, or add a step that uses it")),
                );
            }
        }
        Ok(())
    }

    /// Blurred with zeros around it, a picture would get a dark frame.
    fn mirror_by_default(&self) -> PadValue {
        self.pad_value.unwrap_or(PadValue::Symmetric)
    }

    fn window(&self) -> Window {
        let stride = self.stride.unwrap_or(1);
        Window {
            padding: self.padding.unwrap_or_default(),
            pad_value: self.mirror_by_default(),
            stride,
        }
    }

    /// The step that a name stands for, with the settings of the command line.
    fn named(&self, name: Name) -> Step {
        let (window, value) = (self.window(), self.mirror_by_default());
        let size = self.size.unwrap_or(3);
        let sigma = self.sigma.unwrap_or(2.0);
        let kernel = |name, kernel: Named| {
            let weights = kernel.weights();
            Step::Kernel {
                name,
                weights,
                convolve: self.convolve,
                window,
            }
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
            Name::Gaussian => Step::Gaussian {
                sigma,
                size: self.size.unwrap_or_else(|| gaussian_size(sigma)),
                window,
            },
            Name::Box => Step::Box { size, window },
            Name::Median => Step::Median { size, window },
            Name::Unsharp => Step::Unsharp { size, value },
            Name::Emphasis => Step::Emphasis { sigma, value },
            Name::Equalize => Step::Equalize,
            Name::Integral => Step::Integral,
        }
    }

    /// How values become greys; an integral image fits no other way than stretched.
    pub(super) fn grey(&self, steps: &[Step]) -> Grey {
        let integral = steps.iter().any(|step| matches!(step, Step::Integral));
        match (self.signed, self.stretch || integral) {
            (true, _) => Grey::Signed,
            (_, true) => Grey::Stretch,
            _ => Grey::Clamp,
        }
    }

    /// The output file: as asked, else `STEM-STEPS.png` beside the input.
    pub(super) fn target(&self, steps: &[Step]) -> PathBuf {
        self.output.clone().unwrap_or_else(|| {
            let stem = self.image.file_stem().unwrap_or_default().to_string_lossy();
            let names: Vec<_> = steps.iter().map(Step::name).collect();
            self.image
                .with_file_name(format!("{stem}-{}.png", names.join("-")))
        })
    }
}

//! `graticule filter`: the image operations of the decks on one picture (rows I1–I14, I20).

mod parse;
mod picture;
mod plan;
mod steps;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use data::filter::{PadValue, Padding};
use ndarray::Array2;
use serde::Serialize;

use crate::error::{Failure, Outcome};
use crate::output::Output;
use picture::Grey;

const HELP: &str = "\
Values are 0 (black) to 255 (white). What leaves that range in the result is cut off, unless --signed or
--stretch maps it. Steps run in this order: --noise, --translate, --multiply, --add, each --kernel as given,
--matrix, --pool. Transparency is left out; deeper values are brought to 8 bits.

Examples:
  graticule filter photo.jpg --kernel edge3
  graticule filter photo.jpg --kernel gaussian --sigma 5 --size 30 -o soft.png
  graticule filter photo.jpg --kernel emphasis --kernel equalize
  graticule filter photo.jpg --noise 25 --seed 1 --kernel median
  graticule filter photo.jpg --matrix \"-1 0 1; -1 0 1; -1 0 1\" --padding valid --signed
  graticule filter photo.jpg --pool max 2 2";

/// Apply image operations to a picture: edges, blur, sharpening, pooling, any kernel of your own
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The picture: PNG, JPEG or TIFF
    image: PathBuf,
    /// A named operation; give it several times for a chain
    #[arg(long, short, value_enum, value_name = "NAME")]
    kernel: Vec<Name>,
    /// A kernel of your own: rows divided by `;`, weights by blanks or commas
    #[arg(long, value_name = "ROWS", value_parser = parse::matrix, allow_hyphen_values = true)]
    matrix: Option<Array2<f32>>,
    /// Side of the window, in pixels [default: 3; for gaussian 6 sigma]
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// Width of the Gaussian, in pixels [default: 2]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    sigma: Option<f32>,
    /// Turn kernels by 180° (convolution)
    #[arg(long, conflicts_with = "correlate")]
    convolve: bool,
    /// Take kernels as they are written (cross-correlation); the default
    #[arg(long)]
    correlate: bool,
    /// How far a window may reach over the border: valid, same, full or a count of pixels
    /// [default: same; for --pool valid]
    #[arg(long, value_parser = parse::padding)]
    padding: Option<Padding>,
    /// What stands over the border: zero, mirror or a value [default: mirror; for --translate zero]
    #[arg(long, value_parser = parse::pad_value, allow_negative_numbers = true)]
    pad_value: Option<PadValue>,
    /// Pixels between two window positions of --kernel and --matrix [default: 1]
    #[arg(long, value_name = "N")]
    stride: Option<usize>,
    /// Pool each channel, KIND: max, min, average, sum or l2
    #[arg(long, num_args = 3, value_names = ["KIND", "SIZE", "STRIDE"])]
    pool: Option<Vec<String>>,
    /// Move the picture by DX pixels to the right and DY down
    #[arg(long, value_name = "DX,DY", value_parser = parse::pair, allow_hyphen_values = true)]
    translate: Option<[isize; 2]>,
    /// Multiply each value: contrast
    #[arg(long, value_name = "V", value_parser = parse::number, allow_negative_numbers = true)]
    multiply: Option<f32>,
    /// Add to each value: brightness
    #[arg(long, value_name = "V", value_parser = parse::number, allow_negative_numbers = true)]
    add: Option<f32>,
    /// Add Gaussian noise of this standard deviation
    #[arg(long, value_name = "SIGMA", value_parser = parse::number, allow_negative_numbers = true)]
    noise: Option<f32>,
    /// The noise's seed: the same one gives the same noise [default: 0]
    #[arg(long, value_name = "N", requires = "noise")]
    seed: Option<u64>,
    /// Show negative values: 0 becomes grey 128, the strongest value just fits
    #[arg(long, conflicts_with = "stretch")]
    signed: bool,
    /// Show the whole range of values: the smallest becomes black, the largest white (always for integral)
    #[arg(long)]
    stretch: bool,
    /// The picture to write (PNG, JPEG or TIFF) [default: beside the input, named after the steps]
    #[arg(long, short, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
}

/// The operations that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// The picture itself
    Identity,
    /// [1 0 -1; 0 0 0; -1 0 1]
    #[value(alias = "edge1")]
    Edge,
    /// [0 1 0; 1 -4 1; 0 1 0]
    Edge2,
    /// [-1 -1 -1; -1 8 -1; -1 -1 -1]
    Edge3,
    /// [0 -1 0; -1 5 -1; 0 -1 0]
    Sharpen,
    /// 1/16 [1 2 1; 2 4 2; 1 2 1]
    Gaussian3,
    /// Gaussian blur with --sigma and --size
    Gaussian,
    /// [-1 0 1] in three rows: vertical edges
    Prewitt,
    /// Horizontal edges
    PrewittHorizontal,
    /// Vertical edges with a heavier middle row
    Sobel,
    /// Horizontal edges with a heavier middle column
    SobelHorizontal,
    /// [0 -1 0; -1 4 -1; 0 -1 0]
    Laplacian,
    /// Moving average of --size
    Box,
    /// Sharper: the picture plus what a box of --size took away
    Unsharp,
    /// High-frequency emphasis: half the picture plus twice what a Gaussian of --sigma took away
    Emphasis,
    /// The middle value of each window of --size: removes single wild pixels
    Median,
    /// Histogram equalisation; in colour, of the luminance
    Equalize,
    /// Integral image: the sum of all pixels above and left
    Integral,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    input: &'a Path,
    input_size: [usize; 3],
    steps: Vec<String>,
    output: &'a Path,
    output_size: [usize; 3],
    /// Smallest and largest value before they are made into greys.
    range: [f32; 2],
    grey: Grey,
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    let steps = args.steps()?;
    let target = args.target(&steps);
    picture::check_target(&target, args.force)?;
    let mut image = picture::read(&args.image)?;
    let input_size = image.dim();
    for step in &steps {
        image = step
            .apply(image)
            .map_err(|error| Failure::from(error).at(step.to_string()))?;
    }
    let range = picture::range(&image);
    let grey = args.grey(&steps);
    picture::write(&picture::to_bytes(&image, range, grey), &target)?;
    let report = Report {
        input: &args.image,
        input_size: input_size.into(),
        steps: steps.iter().map(ToString::to_string).collect(),
        output: &target,
        output_size: image.dim().into(),
        range,
        grey,
    };
    report.tell(out)
}

impl Report<'_> {
    fn tell(&self, out: &Output) -> Outcome {
        let size = |[height, width, channels]: [usize; 3]| format!("{height} × {width} × {channels}");
        out.line(format!(
            "input   {}  {}",
            size(self.input_size),
            self.input.display()
        ))?;
        out.line(format!("steps   {}", self.steps.join(", ")))?;
        out.line(format!(
            "values  {} to {}, {}",
            self.range[0], self.range[1], self.grey
        ))?;
        out.line(format!(
            "output  {}  {}",
            size(self.output_size),
            self.output.display()
        ))?;
        out.object(self)
    }
}

//! `graticule bench`: how fast networks train and predict on this machine, and where their time goes.

mod measure;
mod subject;
mod table;

use engine::kernels::peak_flops;
use serde::Serialize;

use crate::compute::ComputeArgs;
use crate::error::{Context, Outcome};
use crate::output::Output;
use crate::verbs::summary::{SampleShape, parse_shape};
use measure::Measured;
use subject::Subject;

const HELP: &str = "\
A step is one training step: forward, loss, backward, update. Every figure is the median of repeated runs after a
warm-up. The peak is measured in the same run: multiply-adds that never leave the registers, on all threads.
`backward` hands gradients on to the layer before, `weights` makes the gradients of parameters.

Examples:
  graticule bench
  graticule bench lenet5 --batch 256 --threads 1
  graticule bench cnn-small --input 64x64x3 --seconds 5
  graticule bench my.toml --isa avx2 --json";

/// Measure training and inference: steps/s, images/s, and per layer time, GFLOP/s and share of the peak
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Named networks or models in TOML [default: mlp, lenet5 and cnn-small, each with its usual images]
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
    /// Samples in a batch [default: 64, or what is usual for the network]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: Option<u32>,
    /// Shape of one sample: HxWxC for images, a number of features for tables [default: 28x28x1]
    #[arg(long, value_name = "HxWxC", value_parser = parse_shape)]
    input: Option<SampleShape>,
    /// Classes
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    classes: u32,
    /// Seconds for each measurement: training, inference and their layers
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// The networks that are measured where none is named: name, sample shape, batch.
const USUAL: [(&str, &[usize], usize); 3] = [
    ("mlp", &[28, 28, 1], 128),
    ("lenet5", &[28, 28, 1], 64),
    ("cnn-small", &[64, 64, 3], 32),
];
const DEFAULT_INPUT: &[usize] = &[28, 28, 1];
const DEFAULT_BATCH: usize = 64;
/// Measurements of the peak, some milliseconds each.
const PEAK_REPEATS: usize = 40;

/// All that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Bench {
    /// Version of the program.
    pub graticule: &'static str,
    /// What it ran on.
    pub machine: Machine,
    /// One entry for each network.
    pub networks: Vec<Measured>,
}

/// What it ran on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Worker threads.
    pub threads: usize,
    /// Instruction set.
    pub isa: String,
    /// Measured peak of all threads in f32 GFLOP/s.
    pub peak_gflops: f64,
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    let engine = args.compute.engine()?;
    let subjects = args.subjects(&engine)?;
    let peak = || peak_flops(engine.isa(), engine.pool(), PEAK_REPEATS) / 1e9;
    let mut peak_gflops = peak();
    let mut networks = Vec::new();
    for mut subject in subjects {
        out.note(format!(
            "measuring {}, batch {} …",
            subject.name, subject.batch.size
        ));
        networks.push(measure::measure(&mut subject, args.seconds)?);
        // Other programs may have taken a share of the processor: the best measurement is the machine's.
        peak_gflops = peak_gflops.max(peak());
    }
    for network in &mut networks {
        network.set_peak(peak_gflops);
    }
    let bench = Bench {
        graticule: env!("CARGO_PKG_VERSION"),
        machine: Machine {
            threads: engine.threads(),
            isa: engine.isa().to_string(),
            peak_gflops,
        },
        networks,
    };
    for line in table::lines(&bench) {
        out.line(line)?;
    }
    out.object(&bench)
}

impl Args {
    /// Every network is built before the first one is measured, so that a mistake shows at once.
    fn subjects(&self, engine: &engine::Engine) -> Outcome<Vec<Subject>> {
        let names: Vec<&str> = match self.models.is_empty() {
            true => USUAL.iter().map(|(name, ..)| *name).collect(),
            false => self.models.iter().map(String::as_str).collect(),
        };
        let subject = |name: &str| {
            let usual = USUAL.iter().find(|(usual, ..)| *usual == name);
            let own = usual.map_or(DEFAULT_INPUT, |(_, shape, _)| shape);
            let shape = self.input.as_ref().map_or(own, |shape| shape.0.as_slice());
            let batch = self.batch.map(|batch| batch as usize);
            let batch = batch.unwrap_or(usual.map_or(DEFAULT_BATCH, |(_, _, batch)| *batch));
            let given = self.input.as_ref().map(|shape| shape.0.as_slice());
            Subject::new(engine, name, (shape, given), self.classes as usize, batch).at(name)
        };
        names.into_iter().map(subject).collect()
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 3600.0 => Ok(value),
        _ => Err("expected a number of seconds above 0 and at most 3600".into()),
    }
}

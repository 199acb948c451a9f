//! `graticule bench`: how fast networks train and predict on this machine, and where their time goes.

mod layers;
mod measure;
mod subject;
mod table;

use engine::Engine;
use engine::kernels::peak_flops;
use nn::{Loss, Optimizer};
use serde::Serialize;

use crate::compute::ComputeArgs;
use crate::error::{Context, Outcome};
use crate::output::Output;
use crate::verbs::summary::{SampleShape, parse_shape};
use measure::{Measured, Plan};
use subject::{Origin, Subject, Wish};

const HELP: &str = "\
A step is one training step: forward, loss, backward, update. Inference is the way of one batch that lies in memory
already, to outputs in memory. Every figure is the median of repeated runs after a warm-up; --json has every single one.
The peak is measured in the same run: multiply-adds that never leave the registers, on all threads.
`backward` hands gradients on to the layer before, `weights` makes the gradients of parameters. GB/s counts what a kernel
reads and writes; numbers that lie in a cache go faster than memory. Threads wait where they wake up, or for the slowest.

Examples:
  graticule bench
  graticule bench lenet5 --batch 64,256 --threads 1
  graticule bench cnn-small --input 64x64x3 --seconds 5
  graticule bench --layers \"dense 4 tanh, dense 1\" --input 2 --loss squared_error --optimizer momentum:0.9
  graticule bench my.toml runs/digits-1/best.safetensors --mode inference --batch 1 --json";

/// Measure training and inference: steps/s, images/s, and per layer time, GFLOP/s and share of the peak
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Named networks, models in TOML, model files [default: mlp, lenet5 and cnn-small, each with its usual images]
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
    /// A network in one line: "conv 6 5 relu, maxpool 2, flatten, dense 10"
    #[arg(long, value_name = "LINE", conflicts_with = "models")]
    layers: Option<String>,
    /// Samples in a batch, several sizes with commas [default: 64, or what is usual for the network]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: Vec<u32>,
    /// Shape of one sample: HxWxC for images, a number of features for tables [default: what is usual for the network, or what a file says]
    #[arg(long, value_name = "HxWxC", value_parser = parse_shape)]
    input: Option<SampleShape>,
    /// Classes, or other outputs of one sample [default: likewise]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    classes: Option<u32>,
    /// What is measured: training, inference, both
    #[arg(long, value_name = "WHAT", default_value = "both")]
    mode: Mode,
    /// cross_entropy, squared_error, binary_cross_entropy, … [default: cross_entropy; squared_error for one output;
    /// binary_cross_entropy for images]
    #[arg(long, value_name = "LOSS")]
    loss: Option<Loss>,
    /// sgd, momentum:0.9, nesterov:0.9, adagrad, adadelta, rmsprop, adam, adamw
    #[arg(long, value_name = "RULE", default_value = "adamw")]
    optimizer: Optimizer,
    /// Seconds for each measurement: training, inference and their layers
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Times that training and inference are measured in turn; the medians are taken over all
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Only how long whole batches take: no layers, no peak
    #[arg(long)]
    brief: bool,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Training steps.
    Training,
    /// Predictions.
    Inference,
    /// Both.
    Both,
}

/// The networks that are measured where none is named: name, sample shape, batch.
const USUAL: [(&str, &[usize], usize); 3] = [
    ("mlp", &[28, 28, 1], 128),
    ("lenet5", &[28, 28, 1], 64),
    ("cnn-small", &[64, 64, 3], 32),
];
const DEFAULT_INPUT: &[usize] = &[28, 28, 1];
const DEFAULT_OUTPUTS: usize = 10;
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
    /// One entry for each network and batch.
    pub networks: Vec<Measured>,
}

/// What it ran on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Worker threads.
    pub threads: usize,
    /// Instruction set.
    pub isa: String,
    /// Precision of matrix products as they were computed.
    pub precision: String,
    /// Measured peak of all threads in f32 GFLOP/s, unless only whole batches were measured.
    pub peak_gflops: Option<f64>,
}

/// Runs the verb.
pub fn run(args: Args, out: &Output) -> Outcome {
    let engine = args.compute.engine(out)?;
    let subjects = args.subjects(&engine)?;
    let peak = || match args.brief {
        true => 0.0,
        false => peak_flops(engine.isa(), engine.pool(), PEAK_REPEATS) / 1e9,
    };
    let mut peak_gflops = peak();
    let mut networks = Vec::new();
    for mut subject in subjects {
        out.note(format!(
            "measuring {}, batch {} …",
            subject.name, subject.batch.size
        ));
        networks.push(measure::measure(&mut subject, &args.plan())?);
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
            isa: engine.level().to_string(),
            precision: engine.precision_used().to_string(),
            peak_gflops: (!args.brief).then_some(peak_gflops),
        },
        networks,
    };
    for line in table::lines(&bench) {
        out.line(line)?;
    }
    out.object(&bench)
}

impl Args {
    fn plan(&self) -> Plan {
        Plan {
            training: self.mode != Mode::Inference,
            inference: self.mode != Mode::Training,
            seconds: self.seconds,
            rounds: self.rounds as usize,
            layers: !self.brief,
        }
    }

    /// Every network is built before the first one is measured, so that a mistake shows at once.
    fn subjects(&self, engine: &Engine) -> Outcome<Vec<Subject>> {
        let origins: Vec<Origin> = match (&self.layers, self.models.is_empty()) {
            (Some(line), _) => vec![Origin::Line(line)],
            (None, true) => USUAL.iter().map(|(name, ..)| Origin::Named(name)).collect(),
            (None, false) => self.models.iter().map(|name| Origin::Named(name)).collect(),
        };
        let mut subjects = Vec::new();
        for origin in origins {
            let usual = USUAL.iter().find(|(name, ..)| origin == Origin::Named(name));
            let known = zoo::NAMES.iter().find(|n| origin == Origin::Named(n.name));
            let batches: Vec<usize> = match self.batch.is_empty() {
                true => vec![usual.map_or(DEFAULT_BATCH, |(_, _, batch)| *batch)],
                false => self.batch.iter().map(|batch| *batch as usize).collect(),
            };
            for batch in batches {
                let wish = Wish {
                    usual: usual.map_or(known.map_or(DEFAULT_INPUT, |n| n.input), |(_, shape, _)| shape),
                    shape: self.input.as_ref().map(|shape| shape.0.as_slice()),
                    usual_outputs: known.map_or(DEFAULT_OUTPUTS, |n| n.outputs),
                    outputs: self.classes.map(|k| k as usize),
                    loss: self.loss.as_ref(),
                    optimizer: self.optimizer,
                    batch,
                };
                subjects.push(Subject::new(engine, origin, &wish).at(origin)?);
            }
        }
        Ok(subjects)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 3600.0 => Ok(value),
        _ => Err("expected a number of seconds above 0 and at most 3600".into()),
    }
}

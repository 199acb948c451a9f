//! The flags that say what the engine runs on.

use engine::{Engine, Level, Precision};

use crate::error::{Context, Failure, Outcome};
use crate::output::Output;
use crate::run_file::EngineChoice;

/// Most worker threads.
const MOST_THREADS: usize = 1024;

/// What the engine runs on.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ComputeArgs {
    /// Worker threads; the results are the same bits for any number [default: all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
    /// Instruction set: scalar, avx2, avx512, amx [default: the fastest there is]
    #[arg(long, value_name = "NAME")]
    pub isa: Option<Level>,
    /// Precision of matrix products: highest (as exact as f32), high (16 bits of each factor), medium
    /// (8 bits, bf16); the last two are faster, and need AMX [default: highest]
    #[arg(long, value_name = "NAME")]
    pub precision: Option<Precision>,
}

impl ComputeArgs {
    /// The engine; a note says so where it is less than was asked for.
    pub fn engine(&self, out: &Output) -> Outcome<Engine> {
        let threads = self.threads.unwrap_or_else(cores);
        let engine = match self.isa {
            None => Engine::new(threads),
            Some(level) if Level::available().contains(&level) => Engine::with_isa(threads, level),
            Some(level) => return Err(lacking(level)),
        };
        let engine = engine.with_precision(self.precision.unwrap_or_default());
        if engine.precision_used() != engine.precision() {
            let why = Level::no_tiles().unwrap_or("--isa leaves out AMX");
            let (asked, used) = (engine.precision(), engine.precision_used());
            out.note(format!("note: --precision {asked} is computed as {used}: {why}"));
        }
        Ok(engine)
    }

    /// The engine for a run that goes on: of the run's precision, unless another is given.
    pub fn engine_like(&self, run: &EngineChoice, out: &Output) -> Outcome<Engine> {
        let precision = match self.precision {
            None => Some(run.precision.parse().map_err(Failure::new).at("run.toml")?),
            given => given,
        };
        Self {
            precision,
            ..self.clone()
        }
        .engine(out)
    }
}

fn lacking(level: Level) -> Failure {
    let names: Vec<String> = Level::available().iter().map(Level::to_string).collect();
    let cause = match (level, Level::no_tiles()) {
        (Level::Amx, Some(why)) => why.to_string(),
        _ => format!("this processor has no {level}"),
    };
    Failure::usage(cause)
        .at("--isa")
        .help(format!("it has {}", names.join(", ")))
}

/// The engine as it stands in `run.toml`.
pub fn choice(engine: &Engine) -> EngineChoice {
    EngineChoice {
        threads: engine.threads(),
        isa: engine.level().to_string(),
        precision: engine.precision().to_string(),
        precision_used: engine.precision_used().to_string(),
    }
}

/// The engine in a line for people: `2 threads, amx`, and the precision where it is not the highest.
pub fn told(engine: &Engine) -> String {
    let precision = match engine.precision_used() {
        Precision::Highest => String::new(),
        other => format!(", {other} precision"),
    };
    format!("{} threads, {}{precision}", engine.threads(), engine.level())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=MOST_THREADS) => Ok(count),
        _ => Err(format!("expected a whole number from 1 to {MOST_THREADS}")),
    }
}

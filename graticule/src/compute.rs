//! The flags that say what the engine runs on.

use engine::{Engine, Isa};

use crate::error::{Failure, Outcome};
use crate::run_file::EngineChoice;

/// Most worker threads.
const MOST_THREADS: usize = 1024;

/// What the engine runs on.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ComputeArgs {
    /// Worker threads; the results are the same bits for any number [default: all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
    /// Instruction set: scalar, avx2, avx512 [default: the fastest there is]
    #[arg(long, value_name = "NAME")]
    pub isa: Option<Isa>,
}

impl ComputeArgs {
    /// The engine.
    pub fn engine(&self) -> Outcome<Engine> {
        let threads = self.threads.unwrap_or_else(cores);
        let available = Isa::available();
        match self.isa {
            None => Ok(Engine::new(threads)),
            Some(isa) if available.contains(&isa) => Ok(Engine::with_isa(threads, isa)),
            Some(isa) => {
                let names: Vec<String> = available.iter().map(Isa::to_string).collect();
                let cause = format!("this processor has no {isa}");
                Err(Failure::usage(cause)
                    .at("--isa")
                    .help(format!("it has {}", names.join(", "))))
            }
        }
    }
}

/// The engine as it stands in `run.toml`.
pub fn choice(engine: &Engine) -> EngineChoice {
    EngineChoice {
        threads: engine.threads(),
        isa: engine.isa().to_string(),
    }
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

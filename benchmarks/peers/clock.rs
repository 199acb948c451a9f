//! What the Rust peers share: the command line, the clock, and the one line of JSON that they print.

use std::error::Error;
use std::str::FromStr;
use std::time::Instant;

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const WARM_UP: usize = 3;
const MOST: usize = 10_000;

#[allow(dead_code)]
pub struct Options {
    pub case: String,
    pub mode: String,
    pub threads: usize,
    pub onnx: String,
    seconds: f64,
    least: usize,
    once: bool,
}

impl Options {
    /// From `--case C --mode M --threads N --seconds S --least N --onnx DIR [--once]`.
    pub fn read() -> Outcome<Self> {
        let words: Vec<String> = std::env::args().collect();
        let text = |name: &str, default: &str| {
            let at = words.iter().position(|word| word == name);
            at.and_then(|at| words.get(at + 1))
                .cloned()
                .unwrap_or(default.into())
        };
        fn number<T: FromStr>(text: String) -> Outcome<T> {
            text.parse().map_err(|_| format!("`{text}` is no number").into())
        }
        Ok(Self {
            case: text("--case", ""),
            mode: text("--mode", ""),
            threads: number(text("--threads", "1"))?,
            onnx: text("--onnx", "."),
            seconds: number(text("--seconds", "2"))?,
            least: number(text("--least", "5"))?,
            once: words.iter().any(|word| word == "--once"),
        })
    }

    /// Runs `step` after a warm-up and prints the milliseconds of every single run.
    pub fn measure(&self, version: &str, mut step: impl FnMut() -> Outcome) -> Outcome {
        if self.once {
            return step();
        }
        for _ in 0..WARM_UP {
            step()?;
        }
        let (started, mut timings) = (Instant::now(), Vec::new());
        while timings.len() < self.least
            || (started.elapsed().as_secs_f64() < self.seconds && timings.len() < MOST)
        {
            let before = Instant::now();
            step()?;
            timings.push(format!("{:.6}", before.elapsed().as_secs_f64() * 1e3));
        }
        println!(
            "{{\"version\": \"{version}\", \"timings\": [{}]}}",
            timings.join(", ")
        );
        Ok(())
    }
}

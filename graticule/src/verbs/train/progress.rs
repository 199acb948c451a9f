//! What is told while a run goes on: a bar on a terminal, lines elsewhere, and the files of the run folder.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use train::run_folder::{MetricsCsv, RunFolder, RunFolderError};
use train::tensorboard::EventWriter;
use train::{EpochRecord, Observer, StepReport};

use crate::error::Outcome;
use crate::output::Output;
use crate::text::{duration, number, percent, thousands};

/// Time between two plain lines inside an epoch.
const QUIET_FOR: Duration = Duration::from_secs(15);

/// What the lines say about a run.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Epochs at most.
    pub epochs: usize,
    /// Whether numbers are learnt, not classes.
    pub regression: bool,
    /// What a sample is called.
    pub unit: &'static str,
}

/// Watches a run: tells the user, fills the run folder, listens for Ctrl-C.
pub struct Watch<'a> {
    out: &'a Output,
    folder: &'a RunFolder,
    metrics: MetricsCsv,
    events: EventWriter,
    bar: Option<ProgressBar>,
    interrupt: Interrupt,
    facts: Facts,
    started: Instant,
    told: Instant,
    epoch_started: Instant,
    steps: u64,
    failed: Option<RunFolderError>,
}

/// The user's wish to stop. The first Ctrl-C asks for it, the second ends the process at once.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for Ctrl-C and the system's request to end, from now on.
    pub fn listen() -> Outcome<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?;
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    /// Whether it was asked for.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<'a> Watch<'a> {
    /// Begins to watch; `next_step` is the step a resumed run goes on with.
    pub fn begin(
        out: &'a Output,
        folder: &'a RunFolder,
        interrupt: Interrupt,
        facts: Facts,
        next_step: Option<u64>,
    ) -> Result<Self, RunFolderError> {
        let now = wall_time();
        let events = match next_step {
            None => EventWriter::create(folder.path(), now)?,
            Some(step) => EventWriter::resume(folder.path(), now, step)?,
        };
        let seen = std::io::stderr().is_terminal() && !out.is_quiet();
        Ok(Self {
            out,
            folder,
            metrics: folder.metrics(),
            events,
            bar: seen.then(bar),
            interrupt,
            facts,
            started: Instant::now(),
            told: Instant::now(),
            epoch_started: Instant::now(),
            steps: 0,
            failed: None,
        })
    }

    /// Steps done by this process.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Takes the bar away; an error of the run folder's files, if there was one.
    pub fn end(self) -> Result<(), RunFolderError> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn tell(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.out.note(line),
        }
    }

    fn keep(&mut self, done: Result<(), RunFolderError>) {
        if let (Err(error), None) = (done, &self.failed) {
            self.failed = Some(error);
        }
    }

    fn eta(&self, steps_left: u64) -> String {
        let per_step = self.started.elapsed().as_secs_f64() / self.steps.max(1) as f64;
        duration(per_step * steps_left as f64)
    }

    fn score(&self, value: f64) -> String {
        if self.facts.regression {
            format!("R² {value:.4}")
        } else {
            format!("accuracy {}", percent(value))
        }
    }

    fn epoch_line(&self, record: &EpochRecord) -> String {
        let mut line = format!(
            "epoch {:>3}/{}  loss {}",
            record.epoch,
            self.facts.epochs,
            number(record.train_loss)
        );
        if let Some(loss) = record.validation_loss {
            line += &format!("  validation loss {}", number(loss));
        }
        match (record.validation_score, record.train_accuracy) {
            (Some(score), _) => line += &format!("  {}", self.score(score)),
            (None, Some(score)) => line += &format!("  {}", self.score(score)),
            (None, None) => {}
        }
        format!(
            "{line}  {}{}",
            duration(record.seconds),
            if record.best { "  best" } else { "" }
        )
    }

    fn write(&mut self, record: &EpochRecord, line: &str) -> Result<(), RunFolderError> {
        let numbers = numbers(record, self.facts.regression);
        self.metrics.append(record.epoch as u64, &numbers)?;
        let now = wall_time();
        for (name, value) in numbers.iter().filter(|(name, _)| *name != "step") {
            // `loss/train`, `loss/validation`: TensorBoard draws one group side by side.
            let tag = name
                .split_once('_')
                .map_or((*name).to_string(), |(role, what)| format!("{what}/{role}"));
            let tag = if *name == "learning_rate" {
                "learning_rate".to_string()
            } else {
                tag
            };
            self.events.scalar(&tag, record.step, *value, now)?;
        }
        self.events.flush()?;
        self.folder.log(line)
    }
}

/// A record as named numbers; the seconds stay out, which a resumed run could not repeat.
fn numbers(record: &EpochRecord, regression: bool) -> Vec<(&'static str, f64)> {
    let score = if regression {
        "validation_r2"
    } else {
        "validation_accuracy"
    };
    let all = [
        ("step", Some(record.step as f64)),
        ("learning_rate", Some(f64::from(record.learning_rate))),
        ("train_loss", Some(record.train_loss)),
        ("train_accuracy", record.train_accuracy),
        ("validation_loss", record.validation_loss),
        (score, record.validation_score),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

impl Observer for Watch<'_> {
    fn step(&mut self, report: &StepReport) {
        if report.batch.0 == 1 || self.steps == 0 {
            self.epoch_started = Instant::now();
        }
        self.steps += 1;
        let rate = report.samples as f64 / self.epoch_started.elapsed().as_secs_f64().max(1e-9);
        let state = || {
            format!(
                "loss {}  {} {}/s  {} left",
                number(f64::from(report.loss)),
                thousands(rate as usize),
                self.facts.unit,
                self.eta(report.steps_left)
            )
        };
        if let Some(bar) = &self.bar {
            if self.told.elapsed() > Duration::from_millis(100) {
                bar.set_length(report.step + report.steps_left);
                bar.set_position(report.step);
                bar.set_prefix(format!("epoch {}/{}", report.epoch, self.facts.epochs));
                bar.set_message(state());
                self.told = Instant::now();
            }
        } else if self.told.elapsed() > QUIET_FOR {
            let (batch, batches) = report.batch;
            self.out.note(format!(
                "epoch {:>3}/{}  batch {batch}/{batches}  {}",
                report.epoch,
                self.facts.epochs,
                state()
            ));
            self.told = Instant::now();
        }
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let line = self.epoch_line(record);
        self.tell(&line);
        self.told = Instant::now();
        let done = self.write(record, &line);
        self.keep(done);
    }

    fn note(&mut self, text: &str) {
        self.tell(text);
        let done = self.folder.log(text);
        self.keep(done);
    }

    fn interrupted(&self) -> bool {
        self.interrupt.asked() || self.failed.is_some()
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {percent}%  {msg}");
    let style = style.map_or_else(
        |_| ProgressStyle::default_bar(),
        |style| style.progress_chars("=> "),
    );
    ProgressBar::new(1).with_style(style)
}

fn wall_time() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

//! What is told while a search goes on: a bar on a terminal, one line for each trial elsewhere.

use std::io::IsTerminal;
use std::time::Instant;

use data::{Dataset, Task};
use indicatif::{ProgressBar, ProgressStyle};
use train::EpochRecord;
use train::run_folder::{RunFolder, RunFolderError};
use train::tune::{Rung, Space, Trial, TrialResult, TuneObserver, TuneOptions, rungs};

use crate::output::Output;
use crate::text::{duration, number, percent, thousands};
use crate::verbs::train::progress::Interrupt;

/// Watches a search.
pub struct Watch<'a> {
    out: &'a Output,
    folder: &'a RunFolder,
    interrupt: Interrupt,
    rungs: Vec<Rung>,
    task: Task,
    bar: Option<ProgressBar>,
    /// The trial at hand, for people.
    current: String,
    started: Instant,
    /// Epochs done and epochs in all.
    epochs: (usize, usize),
    failed: Option<RunFolderError>,
}

impl<'a> Watch<'a> {
    /// Begins to watch.
    pub fn new(
        out: &'a Output,
        folder: &'a RunFolder,
        interrupt: Interrupt,
        options: &TuneOptions,
        task: &Task,
    ) -> Self {
        let rungs = rungs(options);
        let all = rungs.iter().map(|rung| rung.trials * rung.epochs).sum();
        let seen = std::io::stderr().is_terminal() && !out.is_quiet();
        Self {
            out,
            folder,
            interrupt,
            rungs,
            task: task.clone(),
            bar: seen.then(|| bar(all)),
            current: String::new(),
            started: Instant::now(),
            epochs: (0, all),
            failed: None,
        }
    }

    /// Says what is going to happen.
    pub fn tell_plan(&mut self, dataset: &Dataset, space: &Space) {
        for note in &dataset.notes {
            self.tell(&format!("note: {note}"));
        }
        let names: Vec<&str> = space.0.iter().map(|d| d.name.as_str()).collect();
        let (train, held_out) = (dataset.splits.train.len(), dataset.splits.validation.len());
        self.tell(&format!(
            "{}: {} training samples, compared on {} validation samples; searching {}",
            dataset.name,
            thousands(train),
            thousands(held_out),
            names.join(", ")
        ));
        let rungs: Vec<String> = self
            .rungs
            .iter()
            .map(|rung| format!("{} × {}", rung.trials, epochs_text(rung.epochs)))
            .collect();
        self.tell(&format!("trials: {}", rungs.join(", then ")));
        self.tell(&format!("run folder {}", self.folder.path().display()));
    }

    /// Takes the bar away; an error of the log, if there was one.
    pub fn end(self) -> Result<(), RunFolderError> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn tell(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.out.note(line),
        }
        if let Err(error) = self.folder.log(line) {
            self.failed.get_or_insert(error);
        }
    }

    fn move_bar(&self) {
        let Some(bar) = &self.bar else { return };
        let (done, all) = self.epochs;
        let left = self.started.elapsed().as_secs_f64() / done.max(1) as f64 * (all - done.min(all)) as f64;
        bar.set_position(done as u64);
        bar.set_message(format!("{}  {} left", self.current, duration(left)));
    }
}

/// `1 epoch`, `2 epochs`.
pub fn epochs_text(count: usize) -> String {
    format!("{count} epoch{}", if count == 1 { "" } else { "s" })
}

/// A validation score as a person reads it.
pub fn score_text(score: f64, task: &Task) -> String {
    match task {
        Task::Regression { .. } => format!("R² {score:.4}"),
        _ => percent(score),
    }
}

impl TuneObserver for Watch<'_> {
    fn begin(&mut self, trial: &Trial, rung: usize, plan: &Rung, place: usize) {
        let (trials, epochs) = (plan.trials, plan.epochs);
        self.current = format!(
            "round {}/{}  {place}/{trials}  {}  trial {}: {trial}",
            rung + 1,
            self.rungs.len(),
            epochs_text(epochs),
            trial.index + 1
        );
        self.move_bar();
    }

    fn epoch(&mut self, _trial: &Trial, _record: &EpochRecord) {
        self.epochs.0 += 1;
        self.move_bar();
    }

    fn end(&mut self, result: &TrialResult) {
        let how = match (result.score, &result.failure) {
            (Some(score), _) => {
                let loss = result
                    .loss
                    .map_or(String::new(), |l| format!("  loss {}", number(l)));
                format!("{}{loss}", score_text(score, &self.task))
            }
            (None, Some(failure)) => format!("failed: {failure}"),
            (None, None) => "failed".into(),
        };
        let line = format!("{}  →  {how}  {}", self.current, duration(result.seconds));
        self.tell(&line);
        // A failed trial leaves its epochs out.
        let before: usize = self.rungs[..result.rung]
            .iter()
            .map(|r| r.trials * r.epochs)
            .sum();
        self.epochs.0 = self.epochs.0.max(before);
    }

    fn interrupted(&self) -> bool {
        self.interrupt.asked() || self.failed.is_some()
    }
}

fn bar(epochs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:20}] {percent}%  {msg}");
    let style = style.map_or_else(
        |_| ProgressStyle::default_bar(),
        |style| style.progress_chars("=> "),
    );
    ProgressBar::new(epochs as u64).with_style(style)
}

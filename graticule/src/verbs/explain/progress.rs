//! A bar on a terminal; elsewhere a line now and then.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

/// Time between two plain lines.
const QUIET_FOR: Duration = Duration::from_secs(15);

/// What is told while the work goes on.
#[derive(Clone)]
pub struct Bar {
    bar: Option<ProgressBar>,
    out: Output,
    state: Rc<RefCell<(String, Instant)>>,
}

impl Bar {
    /// A bar where somebody sees it.
    pub fn new(out: &Output) -> Self {
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {percent}%");
        let style = style.map_or_else(
            |_| ProgressStyle::default_bar(),
            |style| style.progress_chars("=> "),
        );
        let seen = std::io::stderr().is_terminal() && !out.is_quiet();
        Self {
            bar: seen.then(|| ProgressBar::new(1).with_style(style)),
            out: *out,
            state: Rc::new(RefCell::new((String::new(), Instant::now()))),
        }
    }

    /// Says what comes next, such as `occlusion of 16 of 200 pictures`.
    pub fn begin(&self, what: String) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(what.clone());
        }
        self.state.borrow_mut().0 = what;
    }

    /// `done` of `all` runs.
    pub fn at(&self, done: usize, all: usize) {
        let mut state = self.state.borrow_mut();
        match &self.bar {
            Some(bar) => {
                bar.set_length(all as u64);
                bar.set_position(done as u64);
            }
            None if state.1.elapsed() > QUIET_FOR => {
                self.out.note(format!("{}  {done}/{all}", state.0));
                state.1 = Instant::now();
            }
            None => {}
        }
    }

    /// A line above the bar.
    pub fn note(&self, text: String) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.out.note(text)),
            None => self.out.note(text),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

//! How long work takes, in time that other programs do not stretch.

use std::time::Instant;

use serde::Serialize;

/// What some work took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spent {
    /// Seconds on the clock.
    pub seconds: f64,
    /// Seconds of processor time, all threads together, where the system tells (Linux).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor_seconds: Option<f64>,
}

impl Spent {
    /// Processor time, else time on the clock: what two runs are compared by.
    pub fn comparable(self) -> f64 {
        self.processor_seconds.unwrap_or(self.seconds)
    }
}

/// Runs from its making on.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    started: Instant,
    processor: Option<f64>,
}

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            processor: processor_seconds(),
        }
    }

    /// What was spent since.
    pub fn spent(&self) -> Spent {
        Spent {
            seconds: self.started.elapsed().as_secs_f64(),
            processor_seconds: self
                .processor
                .zip(processor_seconds())
                .map(|(before, now)| now - before),
        }
    }
}

/// Seconds that all threads of this process have computed.
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in brackets and may hold anything; ticks are hundredths of a second.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<f64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    (ticks.len() == 2).then(|| ticks.iter().sum::<f64>() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_and_sleep_is_not() {
        let watch = Stopwatch::start();
        std::thread::sleep(std::time::Duration::from_millis(60));
        let asleep = watch.spent();
        assert!(asleep.seconds >= 0.06);
        if let Some(worked) = asleep.processor_seconds {
            let mut sum = 0u64;
            while watch.spent().processor_seconds < Some(worked + 0.05) {
                sum = std::hint::black_box(sum + 1);
            }
            assert!(watch.spent().comparable() >= worked + 0.05);
        }
    }
}

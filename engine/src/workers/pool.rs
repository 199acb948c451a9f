//! Persistent worker threads: they spin for a moment after each job and then park.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Instant;

/// Iterations that a worker spins for the next job before it parks (some tens of microseconds).
const SPINS: u32 = 2_000;
/// Iterations that the caller spins for its workers before it yields its core to them.
const YIELD_AFTER: u32 = 2_000;

type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// A fixed team of threads. The caller's thread is worker 0.
pub struct Pool {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
    threads: Vec<Thread>,
    /// One job at a time.
    turn: Mutex<()>,
    meter: Meter,
}

/// Nanoseconds of all jobs since the meter was started; nothing is counted while it is off.
#[derive(Default)]
struct Meter {
    on: AtomicBool,
    wall: AtomicU64,
    busy: Vec<AtomicU64>,
}

/// How the time of a team's jobs was spent, see [`Pool::metered`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PoolTimes {
    /// Seconds from the start of each job to its end on the slowest worker, added up over the jobs.
    pub wall: f64,
    /// Seconds that each worker computed; what is missing to `wall` it woke up late or waited for others.
    pub busy: Vec<f64>,
}

struct Shared {
    /// The job at hand; only read between a change of `epoch` and the worker's own `done`.
    job: Mutex<Option<JobPointer>>,
    epoch: AtomicU64,
    running: AtomicUsize,
    panicked: AtomicBool,
    stop: AtomicBool,
}

#[derive(Clone, Copy)]
struct JobPointer(*const Job<'static>);

// SAFETY: the pointed-to closure is `Sync`, and `run` does not return while a worker may use it.
unsafe impl Send for JobPointer {}

impl Pool {
    /// A team of `threads` (at least one), the caller included.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            job: Mutex::new(None),
            epoch: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let handles: Vec<_> = (1..threads.max(1))
            .map_while(|worker| {
                let shared = shared.clone();
                let name = format!("graticule-{worker}");
                thread::Builder::new()
                    .name(name)
                    .spawn(move || work(worker, &shared))
                    .ok()
            })
            .collect();
        let threads = handles.iter().map(|h| h.thread().clone()).collect();
        let busy = (0..=handles.len()).map(|_| AtomicU64::new(0)).collect();
        Self {
            shared,
            handles,
            threads,
            turn: Mutex::new(()),
            meter: Meter {
                busy,
                ..Meter::default()
            },
        }
    }

    /// Number of workers, the caller included.
    pub fn threads(&self) -> usize {
        self.handles.len() + 1
    }

    /// Calls `work` and says how the jobs in it were spent. What `work` does outside of jobs, and jobs of
    /// a team of one, count nowhere. Reading the clock costs some tens of nanoseconds a job.
    pub fn metered<T>(&self, work: impl FnOnce() -> T) -> (T, PoolTimes) {
        let Meter { on, wall, busy } = &self.meter;
        for counter in busy.iter().chain([wall]) {
            counter.store(0, Ordering::Relaxed);
        }
        on.store(true, Ordering::Relaxed);
        let result = work();
        on.store(false, Ordering::Relaxed);
        let seconds = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64 / 1e9;
        let busy = busy.iter().map(seconds).collect();
        (
            result,
            PoolTimes {
                wall: seconds(wall),
                busy,
            },
        )
    }

    /// Calls `job(worker)` once on each worker and returns when all are done.
    ///
    /// # Panics
    /// When the job panics on any worker.
    pub fn run(&self, job: &Job<'_>) {
        if self.handles.is_empty() || !self.meter.on.load(Ordering::Relaxed) {
            return self.start(job);
        }
        let started = Instant::now();
        self.start(&|worker| {
            let started = Instant::now();
            job(worker);
            add(&self.meter.busy[worker], started);
        });
        add(&self.meter.wall, started);
    }

    fn start(&self, job: &Job<'_>) {
        if self.handles.is_empty() {
            return job(0);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: only the lifetime is erased; `Wait` below keeps this frame until all workers are done.
        let pointer =
            unsafe { std::mem::transmute::<*const Job<'_>, *const Job<'static>>(std::ptr::from_ref(job)) };
        *self.shared.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(JobPointer(pointer));
        self.shared.running.store(self.handles.len(), Ordering::Relaxed);
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
        for thread in &self.threads {
            thread.unpark();
        }
        let wait = Wait(&self.shared);
        job(0);
        drop(wait);
        assert!(
            !self.shared.panicked.swap(false, Ordering::Relaxed),
            "a worker thread panicked"
        );
    }
}

fn add(counter: &AtomicU64, since: Instant) {
    counter.fetch_add(since.elapsed().as_nanos() as u64, Ordering::Relaxed);
}

/// Waits for the workers when dropped, so that a panic of the caller's part cannot free the job.
struct Wait<'a>(&'a Shared);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut spins = 0;
        while self.0.running.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < YIELD_AFTER {
                std::hint::spin_loop()
            } else {
                thread::yield_now()
            }
        }
    }
}

fn work(worker: usize, shared: &Shared) {
    let mut seen = 0;
    loop {
        let mut spins = 0;
        while shared.epoch.load(Ordering::SeqCst) == seen {
            if shared.stop.load(Ordering::SeqCst) {
                return;
            }
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                thread::park();
            }
        }
        seen += 1;
        let job = *shared.job.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(JobPointer(job)) = job {
            // SAFETY: `run` keeps the closure alive until `running` is 0, which happens below.
            let call = std::panic::AssertUnwindSafe(|| unsafe { (*job)(worker) });
            if std::panic::catch_unwind(call).is_err() {
                shared.panicked.store(true, Ordering::Relaxed);
            }
        }
        shared.running.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for handle in self.handles.drain(..) {
            handle.thread().unpark();
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_runs_each_job_once() {
        for threads in 1..5 {
            let pool = Pool::new(threads);
            let calls: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
            for _ in 0..200 {
                pool.run(&|worker| {
                    calls[worker].fetch_add(1, Ordering::Relaxed);
                });
            }
            assert!(calls.iter().all(|c| c.load(Ordering::Relaxed) == 200));
        }
    }

    #[test]
    fn the_meter_tells_work_from_waiting() {
        let pool = Pool::new(2);
        let pause = |worker: usize| {
            thread::sleep(std::time::Duration::from_millis(if worker == 0 { 60 } else { 1 }));
        };
        let (_, times) = pool.metered(|| pool.run(&pause));
        assert!(times.wall >= times.busy[0] && times.busy[0] >= 0.06, "{times:?}");
        assert!(
            times.busy[1] >= 0.001 && times.busy[1] < times.busy[0],
            "{times:?}"
        );
        pool.run(&pause);
        assert_eq!(pool.metered(|| ()).1.busy, [0.0, 0.0]);
    }

    #[test]
    fn parked_workers_wake_up() {
        let pool = Pool::new(2);
        for _ in 0..3 {
            thread::sleep(std::time::Duration::from_millis(5));
            let sum = AtomicUsize::new(0);
            pool.run(&|worker| {
                sum.fetch_add(worker + 1, Ordering::Relaxed);
            });
            assert_eq!(sum.load(Ordering::Relaxed), 3);
        }
    }
}

//! An epoch: threads prepare batches ahead, the iterator hands them out in order.

use super::Batch;
use super::assemble::Assembler;
use crate::DataError;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Batches a thread may be ahead.
const AHEAD: usize = 2;

type Made = Result<Batch, DataError>;

/// The batches of one epoch, in order. Ends after the first error.
pub struct Epoch {
    assembler: Arc<Assembler>,
    places: Arc<Vec<usize>>,
    epoch: u64,
    next: usize,
    end: usize,
    /// The batch the first worker began with.
    first: usize,
    workers: Vec<Worker>,
}

struct Worker {
    // An option, so that it can go before the thread is joined.
    made: Option<Receiver<Made>>,
    thread: Option<JoinHandle<bool>>,
}

impl Epoch {
    pub(super) fn new(assembler: Arc<Assembler>, epoch: u64, batches: usize) -> Self {
        let places = Arc::new(assembler.places(epoch));
        Self {
            assembler,
            places,
            epoch,
            next: 0,
            end: batches,
            first: 0,
            workers: Vec::new(),
        }
    }

    /// Begins with batch `number`, as a resumed run does; the batches are the same as without the pause.
    pub fn from_batch(mut self, number: usize) -> Self {
        self.next = number.min(self.end);
        self
    }

    /// Thread `w` of `n` makes batches `w, w + n, w + 2n, …`, so that a batch's place says whose it is.
    fn start_workers(&mut self) {
        self.first = self.next;
        let count = self.assembler.options.threads.min(self.end - self.next);
        for offset in 0..count {
            let (sender, made) = sync_channel(AHEAD);
            let (assembler, places) = (Arc::clone(&self.assembler), Arc::clone(&self.places));
            let mut numbers = (self.next + offset..self.end).step_by(count);
            let epoch = self.epoch;
            // The receiver is gone when the epoch was dropped: then the work ends.
            let work = move || numbers.all(|n| sender.send(assembler.batch(epoch, &places, n)).is_ok());
            let name = format!("loader {offset}");
            // Without a thread the calling thread does its share: slower, but the same batches.
            let thread = std::thread::Builder::new().name(name).spawn(work).ok();
            self.workers.push(Worker {
                made: thread.is_some().then_some(made),
                thread,
            });
        }
    }
}

impl Epoch {
    fn receive(&self, number: usize) -> Made {
        let worker = self
            .workers
            .get((number - self.first) % self.workers.len().max(1));
        let made = worker
            .and_then(|w| w.made.as_ref())
            .and_then(|made| made.recv().ok());
        made.unwrap_or_else(|| self.assembler.batch(self.epoch, &self.places, number))
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        // First all receivers, which ends the work, then the threads.
        self.workers.iter_mut().for_each(|worker| worker.made = None);
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            // A panic of the thread was answered by making its batches here.
            drop(thread.join());
        }
    }
}

impl Iterator for Epoch {
    type Item = Made;

    fn next(&mut self) -> Option<Made> {
        if self.next >= self.end {
            return None;
        }
        if self.workers.is_empty() && self.assembler.options.threads > 0 {
            self.start_workers();
        }
        let number = self.next;
        self.next += 1;
        let made = self.receive(number);
        if made.is_err() {
            self.end = self.next;
        }
        Some(made)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.end - self.next))
    }
}

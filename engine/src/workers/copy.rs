//! A batch's way into a program's memory.

use super::Pool;

/// Fewest numbers that are worth more than one thread.
const WORTH_SHARING: usize = 32 * 1024;

/// Copies numbers, each thread a run of them: a batch's first samples by the first thread, which is who reads them next.
///
/// # Panics
/// When there are not as many of both.
pub(crate) fn copy(pool: &Pool, from: &[f32], to: &mut [f32]) {
    assert_eq!(from.len(), to.len());
    let (count, threads) = (from.len(), pool.threads());
    if threads < 2 || count < WORTH_SHARING {
        return to.copy_from_slice(from);
    }
    let to = Place(to.as_mut_ptr());
    pool.run(&|worker| {
        let own = worker * count / threads..(worker + 1) * count / threads;
        let from = &from[own.clone()];
        // SAFETY: the runs do not overlap and lie within `to`, which is borrowed exclusively.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to.at(own.start), own.len()) };
    });
}

/// Where numbers go.
struct Place(*mut f32);

// SAFETY: each thread writes a run of its own.
unsafe impl Sync for Place {}

impl Place {
    fn at(&self, element: usize) -> *mut f32 {
        self.0.wrapping_add(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_arrives() {
        for (threads, count) in [(1, 50_000), (2, 50_001), (3, 40_000), (5, 7)] {
            let from: Vec<f32> = (0..count).map(|i| i as f32).collect();
            let mut to = vec![-1.0; count];
            copy(&Pool::new(threads), &from, &mut to);
            assert!(from == to, "{count} on {threads} threads");
        }
    }
}

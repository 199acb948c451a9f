//! Where values lie: one arena in which storage is used again as soon as its value is dead.

use std::ops::RangeInclusive;

/// A value that needs storage for some stages.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Elements, before rounding up to a cache line.
    pub elements: usize,
    /// First and last stage in which the value is alive.
    pub alive: RangeInclusive<usize>,
}

/// Offsets for all requests, and the size of the arena. Values that are alive in the same stage never
/// overlap. Greedy by size: the largest value first, at the lowest offset that is free for its life.
pub(crate) fn place(requests: &[Request]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(requests[i].elements), i));
    let mut offsets = vec![0; requests.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut arena = 0;
    for i in order {
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| overlaps(&requests[i].alive, &requests[j].alive))
            .map(|&j| (offsets[j], offsets[j] + rounded(requests[j].elements)))
            .collect();
        taken.sort_unstable();
        let size = rounded(requests[i].elements);
        let mut offset = 0;
        for (start, end) in taken {
            if offset + size <= start {
                break;
            }
            offset = offset.max(end);
        }
        offsets[i] = offset;
        arena = arena.max(offset + size);
        placed.push(i);
    }
    (offsets, arena)
}

/// Whole cache lines, and one line more so that large powers of two do not share cache sets.
fn rounded(elements: usize) -> usize {
    elements.next_multiple_of(16) + if elements >= 1024 { 16 } else { 0 }
}

fn overlaps(a: &RangeInclusive<usize>, b: &RangeInclusive<usize>) -> bool {
    a.start() <= b.end() && b.start() <= a.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_alive_together_never_overlap(raw in prop::collection::vec((1usize..3000, 0usize..9, 0usize..5), 1..40)) {
            let requests: Vec<Request> = raw.iter().map(|&(elements, start, life)| Request { elements, alive: start..=start + life }).collect();
            let (offsets, arena) = place(&requests);
            for i in 0..requests.len() {
                prop_assert!(offsets[i] % 16 == 0 && offsets[i] + requests[i].elements <= arena);
                for j in 0..i {
                    let apart = offsets[i] + requests[i].elements <= offsets[j] || offsets[j] + requests[j].elements <= offsets[i];
                    prop_assert!(apart || !overlaps(&requests[i].alive, &requests[j].alive));
                }
            }
        }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let requests: Vec<Request> = (0..10)
            .map(|i| Request {
                elements: 64,
                alive: i..=i + 1,
            })
            .collect();
        assert_eq!(place(&requests).1, 128);
    }
}

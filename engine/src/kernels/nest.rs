//! Loop nests over a result and operands that broadcast to it, with as long an inner loop as the
//! shapes allow.

use graph::Shape;

/// One axis of the nest: its length and each operand's stride in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Level<const K: usize> {
    length: usize,
    strides: [usize; K],
}

/// A nest over one result (contiguous, row-major) and `K` operands.
#[derive(Debug, Clone)]
pub(crate) struct Nest<const K: usize> {
    outer: Vec<Level<K>>,
    /// Length of the innermost loop.
    pub inner: usize,
    /// Each operand's stride in the innermost loop: 0 (one number) or more.
    pub inner_strides: [usize; K],
}

impl<const K: usize> Nest<K> {
    /// A nest over `axes` lengths with the operands' strides per axis.
    pub(crate) fn new(axes: &[usize], strides: &[[usize; K]]) -> Self {
        let mut levels: Vec<Level<K>> = Vec::new();
        for (&length, &strides) in axes.iter().zip(strides).filter(|(l, _)| **l != 1) {
            // An axis that continues the one before it in every operand makes one longer axis.
            if let Some(last) = levels.last_mut()
                && (0..K).all(|k| last.strides[k] == strides[k] * length)
            {
                last.length *= length;
                last.strides = strides;
                continue;
            }
            levels.push(Level { length, strides });
        }
        let inner = levels.pop().unwrap_or(Level {
            length: 1,
            strides: [0; K],
        });
        Self {
            outer: levels,
            inner: inner.length,
            inner_strides: inner.strides,
        }
    }

    /// Calls `visit(result offset, operand offsets)` for each run of the innermost loop.
    pub(crate) fn each(&self, mut visit: impl FnMut(usize, [usize; K])) {
        let runs: usize = self.outer.iter().map(|l| l.length).product();
        let mut offsets = [0; K];
        let mut counters = [0usize; 8];
        for run in 0..runs {
            visit(run * self.inner, offsets);
            for (level, counter) in self.outer.iter().zip(&mut counters).rev() {
                *counter += 1;
                offsets
                    .iter_mut()
                    .zip(level.strides)
                    .for_each(|(at, stride)| *at += stride);
                if *counter < level.length {
                    break;
                }
                *counter = 0;
                let back = level.strides.map(|stride| stride * level.length);
                offsets
                    .iter_mut()
                    .zip(back)
                    .for_each(|(at, stride)| *at -= stride);
            }
        }
    }
}

/// Strides of `operand` along each axis of `result`, 0 where it broadcasts.
pub(crate) fn broadcast_strides(operand: &[usize], result: &[usize]) -> Vec<usize> {
    let missing = result.len() - operand.len();
    let own = row_major(operand);
    (0..result.len())
        .map(|axis| {
            if axis < missing || operand[axis - missing] == 1 {
                0
            } else {
                own[axis - missing]
            }
        })
        .collect()
}

/// Strides of a contiguous row-major tensor.
pub(crate) fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Whether axis 0 of `operand` runs over the samples of a result with `rank` axes.
pub(crate) fn leads(operand: &Shape, rank: usize, batch: usize) -> bool {
    operand.rank() == rank && rank > 0 && operand[0] == batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shapes_collapse_to_one_loop() {
        let nest = Nest::<2>::new(&[4, 5, 6], &[[30, 30], [6, 6], [1, 1]]);
        assert_eq!(
            (nest.outer.len(), nest.inner, nest.inner_strides),
            (0, 120, [1, 1])
        );
    }

    #[test]
    fn a_channel_vector_keeps_the_channel_loop() {
        let strides = broadcast_strides(&[6], &[4, 5, 6]);
        let nest = Nest::<2>::new(&[4, 5, 6], &[[30, strides[0]], [6, strides[1]], [1, strides[2]]]);
        assert_eq!((nest.inner, nest.inner_strides), (6, [1, 1]));
        let mut seen = vec![];
        nest.each(|at, [a, b]| seen.push((at, a, b)));
        assert_eq!(seen.len(), 20);
        assert!(seen.iter().all(|&(at, a, b)| at == a && b == 0));
    }
}

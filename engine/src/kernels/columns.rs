//! Tensors as matrices of rows of channels, `[rows, C]`, worked on in runs of whole rows that are a
//! multiple of 16 long: then every vector is full, whatever C is.

use graph::Shape;

use super::{BuildContext, Work};

/// Lanes that every run is a multiple of.
pub(crate) const LANES: usize = 16;

/// Length of a run: the least common multiple of C and 16.
pub(crate) fn run_length(channels: usize) -> usize {
    let shared = 1 << channels.trailing_zeros().min(LANES.trailing_zeros());
    channels * (LANES / shared)
}

/// Repeats the first `c` numbers over all of the run.
pub(crate) fn repeat_first(run: &mut [f32], c: usize) {
    let mut filled = c;
    while filled < run.len() {
        let more = filled.min(run.len() - filled);
        run.copy_within(..more, filled);
        filled += more;
    }
}

/// How a kernel that goes row by row is split: by samples where axis 0 is the batch, else in one piece.
pub(crate) fn by_rows(context: &BuildContext, output: &Shape) -> Work {
    match output.first() {
        Some(&n) if n == context.batch => Work::Samples,
        _ => Work::Pieces {
            count: 1,
            elements: output.elements(),
        },
    }
}

/// How a sum over the rows of `x` is split: a reduction where axis 0 is the batch, else in one piece.
pub(crate) fn over_rows(context: &BuildContext, x: &Shape, partial: usize, elements: usize) -> Work {
    match x.first() {
        Some(&n) if n == context.batch => Work::Reduction { partial },
        _ => Work::Pieces { count: 1, elements },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_hold_whole_rows_and_whole_vectors() {
        for (channels, expected) in [
            (1, 16),
            (3, 48),
            (6, 48),
            (16, 16),
            (20, 80),
            (64, 64),
            (100, 400),
        ] {
            assert_eq!(run_length(channels), expected);
        }
    }
}

//! How large the strips of a sweep are, and the pieces of one sample alone.

use super::super::BuildContext;
use super::frame::Frame;
use super::rule;
use super::tile::{SIDE, Tiles, Unit};

/// Bytes of a laid strip, which stays in a core's second cache.
const STRIP: usize = 512 * 1024;
/// Pixels of a strip at least, so that few rows of its blocks are filling and weights are read seldom.
const PIXELS: usize = 512;
/// One sample alone with so many times more weights than numbers is not cut, if they are [`HEAVY`]: its output channels are
/// split instead, so that each thread reads its part of the weights.
const DEEP: usize = 8;
/// Bytes of packed weights that no core's cache keeps.
const HEAVY: usize = 3 << 19;

/// How large strips are: rows of the frame's phases, rows of the result, samples.
pub(super) struct Fit {
    pub room: usize,
    pub rows: usize,
    pub samples: usize,
}

/// `high` rows of the result, `step` of which belong to one row of the frame's phases, which beyond their own reach
/// `reach` more; of so many `weights`.
pub(super) fn fit(
    context: &BuildContext,
    Tiles { unit, parts, .. }: Tiles,
    frame: &Frame,
    [high, step, reach]: [usize; 3],
    weights: usize,
) -> Fit {
    let row = frame.row() * parts * 2;
    let wished = (STRIP / row.max(1)).saturating_sub(reach);
    let wished = wished.max(PIXELS.div_ceil(frame.size[1])).max(1);
    let whole = high.div_ceil(step);
    let numbers = frame.size[0] * frame.size[1] * frame.channels;
    // With the emulated unit, which is for tests, small ones count as heavy.
    let heavy = weights * parts * 2 > HEAVY || unit == Unit::Emulated;
    if context.batch == 1 && weights >= DEEP * numbers && heavy {
        return Fit {
            room: frame.size[0],
            rows: high,
            samples: 1,
        };
    }
    if context.batch > 1 && 2 * frame.size[0] <= wished + reach {
        let samples = ((wished + reach) / frame.size[0]).min(context.batch);
        let room = samples * frame.size[0];
        return Fit {
            room,
            rows: high,
            samples,
        };
    }
    let rows = match context.batch {
        1 => alone(parts, frame, wished, [whole, reach], weights),
        _ => wished.min(whole),
    };
    let rows = rows.max(1);
    let room = (rows + reach).min(frame.size[0].max(1));
    Fit {
        room,
        rows: rows * step,
        samples: 1,
    }
}

/// Rows of a piece of one sample alone, at most half of it: so many that 2, 4 and 8 threads each have about as much to do as
/// the others, with few blocks that are filled in part, few rows that are laid twice, and few readings of weights that no
/// cache keeps.
fn alone(parts: usize, frame: &Frame, wished: usize, [high, reach]: [usize; 2], weights: usize) -> usize {
    let read = if weights * parts * 2 > HEAVY / 2 {
        weights
    } else {
        0
    };
    let piece = |rows: usize| {
        let blocks = (rows * frame.size[1]).div_ceil(SIDE) * weights.div_ceil(SIDE * SIDE).max(1);
        rule::time(parts, blocks, (rows + reach) * frame.row(), read)
    };
    let longest = |rows: usize, threads: usize| {
        let count = high.div_ceil(rows);
        let own = |t: usize| t * count / threads..(t + 1) * count / threads;
        let time = |t: usize| own(t).map(|k| piece(rows.min(high - k * rows))).sum::<f64>();
        (0..threads).map(time).fold(0.0, f64::max)
    };
    let time = |rows: usize| {
        let all = [1, 2, 4, 8].map(|threads| threads as f64 * longest(rows, threads));
        all.iter().sum::<f64>()
    };
    let rows = 1..=wished.min(high.div_ceil(2)).max(1);
    rows.min_by(|&a, &b| time(a).total_cmp(&time(b))).unwrap_or(1)
}

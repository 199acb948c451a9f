//! Bands: a batch stage whose samples are larger than a cache goes through its steps a band of rows at a
//! time, each step as far as what it reads has come.

use std::collections::HashMap;

use super::draft::{Draft, Value};
use crate::kernels::{BuildContext, Rows, Work};

/// Bytes of a band of all values that a stage touches.
const BAND: usize = 512 * 1024;
/// A sample has so many bands at least, or none.
const FEWEST: usize = 3;
/// Bytes of weights, or of sums, that a band may read again.
const WEIGHTS: usize = 320 * 1024;
/// Bytes of a sample's values below which a step does not need bands.
const LARGE: usize = 256 * 1024;

/// For each of a stage's steps how many of its rows are done after each band; empty where bands are of no use.
/// Steps that cannot be cut do all (one row) as soon as all that they read is there.
pub(super) fn bands(
    members: &[usize],
    drafts: &[Draft],
    values: &[Value],
    context: &BuildContext,
) -> Vec<Vec<usize>> {
    let sizes = Sizes { values, context };
    let steps: Vec<Banded> = members.iter().map(|&d| Banded::new(&drafts[d], &sizes)).collect();
    let made: HashMap<usize, usize> = members
        .iter()
        .enumerate()
        .filter(|(_, d)| drafts[**d].work == Work::Samples)
        .map(|(step, &d)| (drafts[d].value, step))
        .collect();
    let touched: usize = steps.iter().filter(|s| s.rows.is_some()).map(|s| s.bytes).sum();
    let bands = touched / BAND;
    if bands < FEWEST || !useful(&steps, members, drafts, &made) {
        return Vec::new();
    }
    let mut done: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for band in 1..=bands {
        for (step, banded) in steps.iter().enumerate() {
            let mut rows = banded.wished(band, bands);
            for (k, &(value, by_sample)) in drafts[members[step]].operands.iter().enumerate() {
                if let Some(&from) = made.get(&value).filter(|_| by_sample) {
                    let there = done[from].last().copied().unwrap_or(0);
                    rows = rows.min(banded.possible(k, there, steps[from].count()));
                }
            }
            done[step].push(rows);
        }
    }
    done
}

/// Whether a step reads by rows what another has made by rows.
fn useful(steps: &[Banded], members: &[usize], drafts: &[Draft], made: &HashMap<usize, usize>) -> bool {
    let mut pairs = steps.iter().zip(members).flat_map(|(step, &d)| {
        let operands = drafts[d].operands.iter().enumerate();
        operands.map(move |(k, operand)| (step, k, operand))
    });
    pairs.any(|(step, k, (value, by_sample))| {
        let from = made.get(value).filter(|_| *by_sample).map(|&from| &steps[from]);
        from.is_some_and(|from| from.rows.is_some() && step.reads(k, from.count()))
    })
}

struct Sizes<'a> {
    values: &'a [Value],
    context: &'a BuildContext,
}

/// A step and its rows, if it is one for bands.
struct Banded {
    rows: Option<Rows>,
    /// Of one sample's values.
    bytes: usize,
}

impl Banded {
    fn new(draft: &Draft, sizes: &Sizes<'_>) -> Self {
        let elements = |value: usize| sizes.values.get(value).map_or(0, |v| v.elements);
        let batch = sizes.context.batch.max(1);
        let (mut each, mut whole) = (0, 0);
        for &(value, by_sample) in &draft.operands {
            *(if by_sample { &mut each } else { &mut whole }) += elements(value);
        }
        match draft.work {
            Work::Samples => each += elements(draft.value),
            Work::Reduction { partial } => whole += partial,
            Work::Pieces { .. } => {}
        }
        let bytes = each / batch * 4;
        let suits = whole * 4 <= WEIGHTS && bytes >= LARGE;
        Self {
            rows: draft.kernel.rows().filter(|_| suits),
            bytes,
        }
    }

    fn count(&self) -> usize {
        self.rows.as_ref().map_or(1, |rows| rows.count)
    }

    /// Rows that would be done after some of all bands if all operands were there.
    fn wished(&self, band: usize, bands: usize) -> usize {
        match self.rows {
            Some(_) => (self.count() * band).div_ceil(bands),
            None => usize::from(band == bands),
        }
    }

    fn reads(&self, k: usize, rows: usize) -> bool {
        let reading = self.rows.as_ref().and_then(|own| *own.reads.get(k)?);
        reading.is_some_and(|reading| reading.rows == rows)
    }

    /// Rows that can be done when `there` of the `of` rows of operand `k` are.
    fn possible(&self, k: usize, there: usize, of: usize) -> usize {
        let reading = self.rows.as_ref().and_then(|own| *own.reads.get(k)?);
        match reading {
            _ if there >= of => self.count(),
            Some(reading) if reading.rows == of => reading.possible(there, self.count()),
            _ => 0,
        }
    }
}

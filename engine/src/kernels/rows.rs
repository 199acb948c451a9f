//! Rows: how the work on one large sample is cut finer, so that what one kernel makes is read by the next
//! while a cache still holds it.

/// How a kernel's work on one sample is cut into rows: image lines, which lie one after another in the
/// result and in the operands that it reads by rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Rows of work in a sample.
    pub count: usize,
    /// For each operand how it is read, `None` where all of the sample's part is needed at once.
    pub reads: Vec<Option<Reading>>,
}

/// Which rows of an operand some rows of work read: the first `up`·r rows of work need the first
/// `step`·r + `ahead` rows, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Rows of the operand.
    pub rows: usize,
    /// Rows of the operand from one row of work to the next.
    pub step: usize,
    /// Rows of the operand that are read beyond those.
    pub ahead: isize,
    /// Rows of work that are done together.
    pub up: usize,
}

impl Rows {
    /// Work of which row i reads row i of the operands that `by_row` marks.
    pub fn alike(count: usize, by_row: impl Iterator<Item = bool>) -> Self {
        let reads = by_row.map(|by_row| by_row.then_some(Reading::same(count)));
        Self {
            count,
            reads: reads.collect(),
        }
    }
}

impl Reading {
    /// Row i needs row i.
    pub fn same(rows: usize) -> Self {
        Self {
            rows,
            step: 1,
            ahead: 0,
            up: 1,
        }
    }

    /// How many of `count` rows of work can be done when the first `there` rows of the operand are there.
    pub fn possible(&self, there: usize, count: usize) -> usize {
        if there >= self.rows {
            return count;
        }
        let rows = (there as isize - self.ahead).max(0) as usize / self.step.max(1);
        (rows * self.up).min(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_of_three_waits_for_one_row_more() {
        let reading = Reading {
            rows: 8,
            step: 1,
            ahead: 1,
            up: 1,
        };
        let possible: Vec<usize> = (0..=8).map(|there| reading.possible(there, 8)).collect();
        assert_eq!(possible, [0, 0, 1, 2, 3, 4, 5, 6, 8]);
    }

    #[test]
    fn every_second_row_needs_two() {
        let reading = Reading {
            rows: 8,
            step: 2,
            ahead: 0,
            up: 1,
        };
        let possible: Vec<usize> = (0..=8).map(|there| reading.possible(there, 4)).collect();
        assert_eq!(possible, [0, 0, 1, 1, 2, 2, 3, 3, 4]);
    }
}

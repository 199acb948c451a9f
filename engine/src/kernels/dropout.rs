//! Dropout's mask, computed where it is used.

use graph::Shape;
use graph::ops::{DropoutMask, Keeps};

use super::columns::by_rows;
use super::registry::Built;
use super::{BuildContext, Isa, Kernel, Task, Work};
use crate::per_isa;

struct Mask {
    isa: Isa,
    work: Work,
    op: DropoutMask,
    /// Elements per sample.
    each: usize,
}

pub(crate) fn mask(context: &BuildContext, op: DropoutMask, output: &Shape) -> Built {
    let work = by_rows(context, output);
    let kernel = Mask {
        isa: context.isa,
        work,
        op,
        each: output.elements() / context.batch.max(1),
    };
    Built::new(kernel, vec![work == Work::Samples])
}

impl Kernel for Mask {
    fn work(&self) -> Work {
        self.work
    }
    fn run(&self, task: Task<'_>) {
        let keeps = Keeps::new(task.key, self.op.salt, self.op.rate);
        let (x, factor) = (task.input(0), self.op.factor());
        let mut at = match self.work {
            Work::Samples => (task.range.start * self.each) as u64,
            _ => 0,
        };
        // Runs within which the high half of the index stays the same.
        let mut done = 0;
        while done < x.len() {
            let room = ((1u64 << 32) - (at & 0xffff_ffff)).min((x.len() - done) as u64);
            let part = done..done + room as usize;
            let keeps = keeps.within((at >> 32) as u32);
            apply(
                self.isa,
                keeps,
                at as u32,
                factor,
                &x[part.clone()],
                &mut task.output[part],
            );
            done += room as usize;
            at += room;
        }
    }
}

per_isa!(
    fn apply(keeps: Keeps, start: u32, factor: f32, x: &[f32], y: &mut [f32]) {
        for (k, (y, &x)) in y.iter_mut().zip(x).enumerate() {
            *y = if keeps.low(start.wrapping_add(k as u32)) {
                x * factor
            } else {
                0.0
            };
        }
    }
);

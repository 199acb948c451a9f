//! The kernel of last resort: the op's own f64 definition, one thread, whole batch. Right, and slow.

use graph::Shape;
use graph::ndarray::{ArrayD, IxDyn};
use graph::ops::Op;

use super::registry::Built;
use super::{Kernel, Task, Work};

struct Reference {
    op: Op,
    operands: Vec<Shape>,
    output: Shape,
}

pub(crate) fn build(op: &Op, operands: &[&Shape], output: &Shape) -> Built {
    let operands = operands.iter().map(|s| (*s).clone()).collect();
    Built::new(
        Reference {
            op: op.clone(),
            operands,
            output: output.clone(),
        },
        vec![],
    )
}

impl Kernel for Reference {
    fn work(&self) -> Work {
        Work::Pieces {
            count: 1,
            elements: self.output.elements(),
        }
    }

    fn run(&self, task: Task<'_>) {
        let array = |(k, shape): (usize, &Shape)| {
            let values = match self.op.reads(k) {
                true => task.input(k).iter().map(|&x| f64::from(x)).collect(),
                false => vec![0.0; shape.elements()],
            };
            ArrayD::from_shape_vec(IxDyn(shape), values).unwrap_or_default()
        };
        let arrays: Vec<ArrayD<f64>> = self.operands.iter().enumerate().map(array).collect();
        let result = self
            .op
            .reference(&arrays.iter().collect::<Vec<_>>(), &self.output);
        for (to, &from) in task.output.iter_mut().zip(result.iter()) {
            *to = from as f32;
        }
    }
}

//! One sample alone: kernels that go by sample and treat rows apart go by the rows of its image instead, so
//! that several threads share it.

use graph::Shape;
use graph::ops::Op;

use super::registry::{Built, build};
use super::{BuildContext, Kernel, OperandInfo, Shorts, Task, Work};
use crate::EngineError;
use crate::plan::{Action, Epilogue, Fused, chain};

/// Below this many elements one thread is as fast.
const WORTH_SPLITTING: usize = 16 * 1024;
/// Operands whose places are kept on the stack.
const OPERANDS: usize = 8;

/// A kernel built for an image's rows as samples.
struct ByRows {
    kernel: Box<dyn Kernel>,
    /// Elements of a row of each operand that is taken by row, else 0.
    rows: Vec<usize>,
    work: Work,
}

/// The kernel by rows, where the op allows it.
///
/// # Errors
/// As [`build`].
pub(super) fn by_rows(
    context: &BuildContext,
    action: &Action,
    operands: &[OperandInfo],
    output: &Shape,
) -> Result<Option<Built>, EngineError> {
    let &[1, rows, ..] = &output[..] else {
        return Ok(None);
    };
    let large = rows > 1 && output.rank() > 2 && output.elements() >= WORTH_SPLITTING;
    let image = |shape: &Shape| shape.rank() == output.rank() && shape[..2] == output[..2];
    let fits = |o: &OperandInfo| image(&o.shape) || o.shape.rank() <= 1;
    if context.batch != 1 || !large || operands.len() > OPERANDS || !operands.iter().all(fits) {
        return Ok(None);
    }
    let Some(action) = without_batch(action, output) else {
        return Ok(None);
    };
    let below = |shape: &Shape| {
        if image(shape) {
            Shape::new(&shape[1..])
        } else {
            shape.clone()
        }
    };
    let infos: Vec<OperandInfo> = operands
        .iter()
        .map(|o| OperandInfo {
            shape: below(&o.shape),
        })
        .collect();
    let context = BuildContext {
        batch: rows,
        ..*context
    };
    let built = build(&context, &action, Epilogue::default(), &infos, &below(output))?;
    if built.kernel.work() != Work::Samples || !built.packs.is_empty() {
        return Ok(None);
    }
    let taken = |(k, o): (usize, &OperandInfo)| match built.by_sample.get(k) {
        Some(true) => o.shape.elements() / rows,
        _ => 0,
    };
    let kernel = ByRows {
        rows: operands.iter().enumerate().map(taken).collect(),
        kernel: built.kernel,
        work: Work::Pieces {
            count: rows,
            elements: output.elements() / rows,
        },
    };
    Ok(Some(Built::new(kernel, Vec::new())))
}

/// The op on a shape without the batch axis, if its rows do not see one another.
fn without_batch(action: &Action, output: &Shape) -> Option<Action> {
    match action {
        Action::Graph(Op::Binary(_) | Op::Unary(_) | Op::Affine(_)) => Some(action.clone()),
        Action::Graph(Op::Concat(concat)) if concat.axis > 1 => {
            let axis = concat.axis - 1;
            Some(Action::Graph(graph::ops::Concat { axis }.into()))
        }
        Action::Fused(Fused::Chain(chain)) if chain.domain == *output => {
            let forms = |o: &chain::ChainOperand| {
                o.offset == 0
                    && matches!(
                        o.form,
                        chain::Form::Full | chain::Form::Channels | chain::Form::One
                    )
            };
            let stored = matches!(chain.end, chain::End::Store(_));
            let mut chain = chain.clone();
            chain.domain = Shape::new(&output[1..]);
            (stored && chain.operands.iter().all(forms)).then_some(Action::Fused(Fused::Chain(chain)))
        }
        _ => None,
    }
}

impl Kernel for ByRows {
    fn work(&self) -> Work {
        self.work
    }

    fn scratch(&self) -> usize {
        self.kernel.scratch()
    }

    fn shorts(&self) -> Shorts {
        let can = self.kernel.shorts();
        let even = |k: &usize| can.has(*k) && self.rows[*k].is_multiple_of(2);
        let Work::Pieces { elements, .. } = self.work else {
            return Shorts::default();
        };
        Shorts {
            alike: can.alike,
            ..Shorts::of(
                (0..self.rows.len()).filter(even),
                can.output && elements.is_multiple_of(2),
            )
        }
    }

    fn shorten(&mut self, shorts: Shorts) {
        self.kernel.shorten(shorts);
        let rows = self.rows.iter_mut().enumerate();
        rows.filter(|(k, _)| shorts.has(*k))
            .for_each(|(_, row)| *row /= 2);
        if let (true, Work::Pieces { elements, .. }) = (shorts.output, &mut self.work) {
            *elements /= 2;
        }
    }

    fn run(&self, task: Task<'_>) {
        let count = task.operands.len();
        let Some(&first) = task.operands.first() else {
            return;
        };
        let mut operands = [first; OPERANDS];
        operands[..count].copy_from_slice(task.operands);
        for (operand, &row) in operands.iter_mut().zip(&self.rows).filter(|(_, row)| **row > 0) {
            operand.base = operand.base.wrapping_add(task.range.start * row);
            operand.per_sample = row;
        }
        self.kernel.run(Task {
            operands: &operands[..count],
            ..task
        });
    }
}

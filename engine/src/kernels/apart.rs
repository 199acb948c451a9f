//! Convolutions of images whose number is not the batch's: their leading axis has been joined with another
//! one (the frames of a film, the slices of a volume), or there is no batch. The kernel is built as if the
//! images were the batch, and does all of them at once.

use graph::Shape;
use graph::ops::Op;

use super::registry::{Built, build as build_kernel};
use super::{BuildContext, Kernel, OperandInfo, Task, Work};
use crate::EngineError;
use crate::plan::{Action, Epilogue};

/// Operands whose places are kept on the stack.
const OPERANDS: usize = 8;

struct Apart {
    kernel: Box<dyn Kernel>,
    inner: Work,
    images: usize,
    /// Elements of one image of each operand that is taken by image, else 0.
    each: Vec<usize>,
    elements: usize,
}

/// The kernel over all images, where their number is not the batch's.
///
/// # Errors
/// As [`build_kernel`].
pub(super) fn build(
    context: &BuildContext,
    action: &Action,
    epilogue: Epilogue,
    operands: &[OperandInfo],
    output: &Shape,
) -> Result<Option<Built>, EngineError> {
    let convolves = matches!(
        action,
        Action::Graph(Op::Conv2d(_) | Op::Conv2dTransposed(_) | Op::Conv2dWeightGradient(_))
    );
    let images = operands.first().and_then(|o| o.shape.first()).copied();
    let Some(images) = images.filter(|&n| convolves && n != context.batch && operands.len() <= OPERANDS)
    else {
        return Ok(None);
    };
    let context = BuildContext {
        batch: images,
        chunks: 1,
        ..*context
    };
    let mut built = build_kernel(&context, action, epilogue, operands, output)?;
    if built.before.is_some() {
        // A step before it has no place here; the kernels without tiles have none.
        let context = BuildContext {
            tiles: None,
            ..context
        };
        built = build_kernel(&context, action, epilogue, operands, output)?;
    }
    let each = |(k, o): (usize, &OperandInfo)| match built.by_sample.get(k) {
        Some(true) => o.shape.elements() / images,
        _ => 0,
    };
    let kernel = Apart {
        each: operands.iter().enumerate().map(each).collect(),
        inner: built.kernel.work(),
        kernel: built.kernel,
        images,
        elements: output.elements(),
    };
    Ok(Some(Built {
        kernel: Box::new(kernel),
        by_sample: Vec::new(),
        packs: built.packs,
        also: built.also,
        before: None,
    }))
}

impl Kernel for Apart {
    fn work(&self) -> Work {
        Work::Pieces {
            count: 1,
            elements: self.elements,
        }
    }

    fn scratch(&self) -> usize {
        let partial = match self.inner {
            Work::Reduction { partial } => partial,
            _ => 0,
        };
        self.kernel.scratch() + partial
    }

    fn run(&self, task: Task<'_>) {
        let count = task.operands.len();
        let Some(&first) = task.operands.first() else {
            return;
        };
        let mut operands = [first; OPERANDS];
        operands[..count].copy_from_slice(task.operands);
        for (operand, &each) in operands.iter_mut().zip(&self.each) {
            operand.per_sample = each;
        }
        let operands = &operands[..count];
        let whole = |range, output, scratch| Task {
            operands,
            output,
            scratch,
            range,
            fresh: true,
            rows: None,
            key: task.key,
        };
        match self.inner {
            Work::Samples => self.kernel.run(whole(0..self.images, task.output, task.scratch)),
            Work::Pieces { count, .. } => self.kernel.run(whole(0..count, task.output, task.scratch)),
            Work::Reduction { partial } => {
                let (sum, scratch) = task.scratch.split_at_mut(partial);
                self.kernel.run(whole(0..self.images, sum, scratch));
                self.kernel.finish(sum, task.output);
            }
        }
    }
}

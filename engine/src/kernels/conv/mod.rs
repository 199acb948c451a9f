//! Convolution: forward, back to the input, and the gradient of the weights, without an im2col buffer.

mod depthwise;
mod direct;
mod gathered;
mod geometry;
mod pass;
mod weights;
mod weights_split;
mod winograd;

use graph::Shape;
use graph::ops::{Conv2d, Conv2dSizes, Conv2dTransposed, Conv2dWeightGradient};

use super::{BuildContext, Built, Reading, Work};
use crate::EngineError;
use crate::plan::Epilogue;
use pass::Pass;
pub use winograd::Filters;

pub(crate) fn forward(
    context: &BuildContext,
    op: Conv2d,
    epilogue: Epilogue,
    shapes: &[&Shape],
) -> Result<Built, EngineError> {
    let sizes = op.sizes(shapes[0], shapes[1])?;
    Ok(match depthwise::suits(&sizes) {
        true => depthwise::forward(context, sizes, epilogue),
        false => image_pass(context, Pass::forward(context, &sizes), epilogue),
    })
}

pub(crate) fn transposed(
    context: &BuildContext,
    op: Conv2dTransposed,
    epilogue: Epilogue,
    shapes: &[&Shape],
) -> Result<Built, EngineError> {
    let sizes = op.sizes(&shapes[..shapes.len() - epilogue.count()])?;
    Ok(match depthwise::suits(&sizes) {
        true => depthwise::backward(context, sizes),
        false => image_pass(context, Pass::backward(context, &sizes), epilogue),
    })
}

pub(crate) fn weight_gradient(
    context: &BuildContext,
    op: Conv2dWeightGradient,
    shapes: &[&Shape],
) -> Result<Built, EngineError> {
    let sizes = op.sizes(shapes)?;
    Ok(if depthwise::suits(&sizes) {
        depthwise::weights(context, sizes)
    } else if weights_split::suits(context, &sizes) {
        // Several chunks: only a whole batch's op may have a step before it.
        match context.chunks > 1 && winograd::suits_weights(&sizes) {
            true => winograd::build_split(context, sizes),
            false => weights_split::build(context, sizes),
        }
    } else if winograd::suits_weights(&sizes) {
        winograd::build_weights(context, sizes)
    } else {
        weights::build(context, sizes)
    })
}

/// Multiply-adds of a plain sum that would take as long as the f32 kernels of this convolution do: Winograd's take four
/// for every seven, unless they are narrow or of small images.
pub(super) fn equal_macs(sizes: &Conv2dSizes) -> usize {
    let [high, wide] = sizes.window.output;
    match winograd::suits_weights(sizes) && high.min(wide) >= 8 {
        true if sizes.channels.min(sizes.outputs) < 48 => sizes.macs() * 4 / 5,
        true => sizes.macs() * 4 / 7,
        false => sizes.macs(),
    }
}

/// Whether a convolution, or its way back, takes Winograd's products and leaves them to the tile unit.
pub(super) fn by_tiles(context: &BuildContext, sizes: &Conv2dSizes, backward: bool) -> bool {
    let pass = match backward {
        true => Pass::backward(context, sizes),
        false => Pass::forward(context, sizes),
    };
    winograd::suits(context, &pass) && winograd::tiles(context, &pass).is_some()
}

/// How rows of a convolution's result, or of the image on the way back, read rows of what they are made of.
pub(super) fn reading(context: &BuildContext, sizes: &Conv2dSizes, backward: bool) -> Reading {
    match backward {
        true => Pass::backward(context, sizes).reading(),
        false => Pass::forward(context, sizes).reading(),
    }
}

fn image_pass(context: &BuildContext, pass: Pass, epilogue: Epilogue) -> Built {
    if winograd::suits(context, &pass) {
        winograd::build(context, pass, epilogue)
    } else if gathered::suits(context, &pass) {
        gathered::build(context, pass, epilogue)
    } else {
        direct::build(context, pass, epilogue)
    }
}

/// How a pass is split: by samples; one sample alone by the rows of its result.
fn image_work(context: &BuildContext, pass: &Pass) -> Work {
    match context.batch == 1 {
        true => Work::Pieces {
            count: pass.result[0],
            elements: pass.result[1] * pass.result[2],
        },
        false => Work::Samples,
    }
}

/// Which operands an image's pass takes by sample: the image and, behind weights and bias, the residual.
fn by_sample(epilogue: Epilogue, work: Work) -> Vec<bool> {
    let [_, residual] = epilogue.operands(2);
    let image = |k: usize| work == Work::Samples && (k == 0 || Some(k) == residual);
    (0..4).map(image).collect()
}

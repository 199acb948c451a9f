//! Convolution, and its way back to the image, as passes over strips of a framed image (`sweep`). The way back with a
//! stride is one pass for each phase of the image, with the taps that reach it.

use graph::Shape;
use graph::ops::{BoundWindow, Conv2d, Conv2dSizes, Conv2dTransposed};

use super::super::conv::{by_tiles, equal_macs, reading};
use super::super::joined::Joined;
use super::super::registry::Built;
use super::super::{BuildContext, Reading, Shorts, Work};
use super::fit::{Fit, fit};
use super::frame::{FARTHEST, Frame};
use super::planes::{Planes, Side};
use super::rule;
use super::split::Floor;
use super::stacked;
use super::sweep::{Pass, Sweep};
use super::tile::{SIDE, Starts, Tiles};
use crate::plan::Epilogue;

/// Channels from which on pixels are filled up to 32.
const FEW: usize = 16;

/// What a sweep is, before it is known whether it is worth it.
struct Plan {
    frame: Frame,
    image: usize,
    weights: Planes,
    passes: Vec<Pass>,
    output: [usize; 2],
    /// The smallest of rows, depth and columns of the product.
    narrowest: usize,
    /// The window, where pixels of few channels are laid without filling.
    few: Option<BoundWindow>,
}

fn build(
    context: &BuildContext,
    tiles: Tiles,
    plan: Plan,
    fit: Fit,
    epilogue: Epilogue,
    (macs, reading): (usize, Reading),
) -> Option<Built> {
    let Plan {
        frame,
        image,
        weights,
        passes,
        output,
        narrowest,
        few,
    } = plan;
    let columns = frame.size[1];
    let rows = |p: &Pass| {
        let one = ((p.size[0].max(1) - 1) * columns + p.size[1]).div_ceil(SIDE);
        match fit.samples {
            1 => one,
            _ => one.min((frame.size[0] * columns).div_ceil(SIDE)),
        }
    };
    let cost = rule::Cost {
        macs,
        blocks: passes.iter().map(|p| rows(p) * p.starts.len()).sum::<usize>() * weights.panels(),
        splits: image
            * if few.is_some() {
                frame.channels
            } else {
                frame.channel_blocks() * SIDE
            },
        weights: weights.steps.len() * SIDE * weights.lines / context.batch,
        // One sample alone is a prediction, for which weights were packed before.
        packing: context.batch > 1,
        narrowest,
    };
    if !rule::worth(tiles, &cost) {
        return None;
    }
    let raw = few.is_some();
    let line = output[1] * weights.lines;
    let work = match context.batch {
        1 => Work::Pieces {
            count: output[0].div_ceil(fit.rows),
            elements: fit.rows * line,
        },
        _ => Work::Samples,
    };
    let by_panel = context.batch == 1 && fit.rows >= output[0] && weights.panels() > 1 && !raw;
    if by_panel {
        return Some(panels(
            tiles,
            (frame, image, passes),
            weights,
            (output, epilogue),
            reading,
        ));
    }
    let [_, residual] = epilogue.operands(2);
    let by_sample = |k: usize| work == Work::Samples && (k == 0 || Some(k) == residual);
    let operands = 2 + epilogue.count();
    let by_sample = (0..operands).map(by_sample).collect();
    let sweep = Sweep {
        tiles,
        frame,
        image,
        weights: weights.clone(),
        passes,
        output,
        epilogue,
        work,
        fit: fit.rows,
        together: fit.samples,
        reading,
        few,
        by_panel: false,
        shorts: Shorts::default(),
    };
    let built = Built::new(sweep, by_sample).packing(1, weights);
    Some(if raw { built.with(1) } else { built })
}

/// A small sample alone, split by panels of output channels.
fn panels(
    tiles: Tiles,
    (frame, image, passes): (Frame, usize, Vec<Pass>),
    weights: Planes,
    (output, epilogue): ([usize; 2], Epilogue),
    reading: Reading,
) -> Built {
    let each = output[0] * output[1] * SIDE;
    let count = weights.panels();
    let joined = Joined {
        isa: tiles.isa,
        output: [output[0], output[1], weights.lines],
        epilogue,
    };
    let sweep = Sweep {
        tiles,
        frame,
        image,
        weights: weights.clone(),
        passes,
        output,
        epilogue: Epilogue::default(),
        work: Work::Pieces {
            count,
            elements: each,
        },
        fit: output[0],
        together: 1,
        reading,
        few: None,
        by_panel: true,
        shorts: Shorts::default(),
    };
    Built::new(joined, vec![])
        .packing(1, weights)
        .after(sweep, count * each)
}

/// The convolution on tiles, if it is worth it.
pub(super) fn forward(
    context: &BuildContext,
    tiles: Tiles,
    op: Conv2d,
    epilogue: Epilogue,
    shapes: &[&Shape],
) -> Option<Built> {
    let s = op.sizes(shapes[0], shapes[1]).ok()?;
    if s.groups != 1 || s.batch == 0 || s.batch != context.batch {
        return None;
    }
    if let Some(built) = stacked::build(context, tiles, epilogue, &s, stacked::Way::Forward) {
        return Some(built);
    }
    if by_tiles(context, &s, false) {
        return None;
    }
    if few(&s) {
        return forward_few(context, tiles, &s, epilogue);
    }
    let whole = forward_frame(&s);
    let [kh, kw] = s.window.kernel;
    let reach = whole.size[0] - s.window.output[0];
    let fit = fit(
        context,
        tiles,
        &whole,
        [s.window.output[0], 1, reach],
        kh * kw * s.channels * s.outputs,
    );
    let frame = whole.with_room(fit.room);
    let (mut starts, mut steps) = (Vec::new(), Vec::new());
    for block in 0..frame.channel_blocks() {
        for (u, v) in (0..kh).flat_map(|u| (0..kw).map(move |v| (u, v))) {
            let tap = frame.pixel([u * s.window.dilation[0], v * s.window.dilation[1]]);
            starts.push((block * frame.pixels() + tap) * SIDE);
            let start = ((u * kw + v) * s.channels + block * SIDE) * s.outputs;
            steps.push((start, SIDE.min(s.channels - block * SIDE)));
        }
    }
    let pass = Pass {
        starts: Starts::new(starts),
        low: 0,
        reach,
        first_step: 0,
        size: s.window.output,
        origin: [0, 0],
        spread: [1, 1],
    };
    let weights = Planes {
        tiles,
        side: Side::Right,
        fit: steps.len(),
        steps,
        along: s.outputs,
        across: 1,
        lines: s.outputs,
        floor: Floor::High,
    };
    let plan = Plan {
        frame,
        image: s.window.image[0] * s.window.image[1],
        weights,
        passes: vec![pass],
        output: s.window.output,
        narrowest: s.channels.min(s.outputs),
        few: None,
    };
    let speed = (equal_macs(&s) / s.batch, reading(context, &s, false));
    build(context, tiles, plan, fit, epilogue, speed)
}

/// Whether the taps of a kernel's row are one step of the sum, or some.
fn few(s: &Conv2dSizes) -> bool {
    let along = s.window.kernel[1] * s.channels;
    s.channels < FEW && s.window.kernel[1] > 1 && s.window.dilation[1] == 1 && along <= FARTHEST
}

/// The same of an image of few channels: rows of taps are steps.
fn forward_few(context: &BuildContext, tiles: Tiles, s: &Conv2dSizes, epilogue: Epilogue) -> Option<Built> {
    let w = &s.window;
    let [kh, kw] = w.kernel;
    let reach = |axis: usize, taps: usize| (taps - 1) / w.stride[axis];
    let below = reach(0, w.dilation[0] * (kh - 1) + 1);
    let size = [w.output[0] + below, w.output[1] + reach(1, kw)];
    let whole = Frame::few(w.image, s.channels, w.stride, [w.padding[0], w.padding[2]], size);
    let fit = fit(context, tiles, &whole, [w.output[0], 1, below], 0);
    let frame = whole.with_room(fit.room);
    let along = kw * s.channels;
    let (mut starts, mut steps) = (Vec::new(), Vec::new());
    for (u, first) in (0..kh).flat_map(|u| (0..along).step_by(SIDE).map(move |first| (u, first))) {
        starts.push(frame.pixel([u * w.dilation[0], 0]) * frame.step() + first);
        steps.push(((u * along + first) * s.outputs, SIDE.min(along - first)));
    }
    let pass = Pass {
        starts: Starts::new(starts),
        low: 0,
        reach: below,
        first_step: 0,
        size: w.output,
        origin: [0, 0],
        spread: [1, 1],
    };
    let weights = Planes {
        tiles,
        side: Side::Right,
        fit: steps.len(),
        steps,
        along: s.outputs,
        across: 1,
        lines: s.outputs,
        floor: Floor::High,
    };
    let plan = Plan {
        frame,
        image: w.image[0] * w.image[1],
        weights,
        passes: vec![pass],
        output: w.output,
        narrowest: s.outputs.min(kh * along),
        few: Some(*w),
    };
    let speed = (equal_macs(s) / s.batch, reading(context, s, false));
    build(context, tiles, plan, fit, epilogue, speed)
}

/// The framed image that all windows of a convolution lie in.
pub(super) fn forward_frame(s: &Conv2dSizes) -> Frame {
    let w = &s.window;
    let reach = |axis: usize| w.output[axis] + w.dilation[axis] * (w.kernel[axis] - 1) / w.stride[axis];
    Frame::new(
        w.image,
        s.channels,
        w.stride,
        [w.padding[0], w.padding[2]],
        [reach(0), reach(1)],
    )
}

/// The way back along one axis, for the image's rows r with (r + padding) mod stride = phase: output
/// row m − shift of the gradient meets tap u, where r + padding = stride·m + phase.
struct Way {
    /// The first m, how many, and the image row of the first.
    first: usize,
    count: usize,
    origin: usize,
    /// (tap, shift)
    taps: Vec<(usize, usize)>,
}

fn way(s: &Conv2dSizes, axis: usize, phase: usize) -> Way {
    let w = &s.window;
    let (stride, padding) = (w.stride[axis], w.padding[2 * axis]);
    let first = padding.saturating_sub(phase).div_ceil(stride);
    // m counts from 0 to end − 1 over the padded image.
    let end = (w.image[axis] + padding).saturating_sub(phase).div_ceil(stride);
    let reaching = |u: usize| {
        let offset = u * w.dilation[axis];
        (offset % stride == phase).then(|| (u, offset / stride))
    };
    Way {
        first,
        count: end.saturating_sub(first),
        origin: (stride * first + phase).saturating_sub(padding),
        taps: (0..w.kernel[axis]).filter_map(reaching).collect(),
    }
}

/// The way back on tiles, if it is worth it.
pub(super) fn transposed(
    context: &BuildContext,
    tiles: Tiles,
    op: Conv2dTransposed,
    epilogue: Epilogue,
    shapes: &[&Shape],
) -> Option<Built> {
    let s = op.sizes(&shapes[..shapes.len() - epilogue.count()]).ok()?;
    if s.groups != 1 || s.batch == 0 || s.batch != context.batch {
        return None;
    }
    if let Some(built) = stacked::build(context, tiles, epilogue, &s, stacked::Way::Back) {
        return Some(built);
    }
    if by_tiles(context, &s, true) {
        return None;
    }
    let w = &s.window;
    // Zeros before the gradient for the largest shift, and room for the last m behind it.
    let before = |axis: usize| w.dilation[axis] * (w.kernel[axis] - 1) / w.stride[axis];
    let size = |axis: usize| {
        let end = (w.image[axis] + w.padding[2 * axis]).div_ceil(w.stride[axis]);
        before(axis) + end.max(w.output[axis])
    };
    let origin = [before(0), before(1)];
    let whole = Frame::new(w.output, s.outputs, [1, 1], origin, [size(0), size(1)]);
    // Phases may begin a row apart, in the frame and in the result.
    let reach = before(0) + 2;
    let fit = fit(
        context,
        tiles,
        &whole,
        [w.image[0], w.stride[0], reach],
        w.kernel[0] * w.kernel[1] * s.channels * s.outputs,
    );
    let frame = whole.with_room(fit.room);
    let (mut passes, mut steps) = (Vec::new(), Vec::new());
    for (i, j) in (0..w.stride[0]).flat_map(|i| (0..w.stride[1]).map(move |j| (i, j))) {
        let (down, right) = (way(&s, 0, i), way(&s, 1, j));
        let first_step = steps.len();
        let rows = || down.taps.iter().map(|&(_, up)| origin[0] + down.first - up);
        let (low, high) = (rows().min().unwrap_or(0), rows().max().unwrap_or(0));
        let mut starts = Vec::new();
        for block in 0..frame.channel_blocks() {
            for &(u, up) in &down.taps {
                for &(v, left) in &right.taps {
                    let at = [origin[0] + down.first - up - low, origin[1] + right.first - left];
                    starts.push((block * frame.pixels() + frame.pixel(at)) * SIDE);
                    let start = (u * w.kernel[1] + v) * s.channels * s.outputs + block * SIDE;
                    steps.push((start, SIDE.min(s.outputs - block * SIDE)));
                }
            }
        }
        passes.push(Pass {
            starts: Starts::new(starts),
            low,
            reach: high - low,
            first_step,
            size: [down.count, right.count],
            origin: [down.origin, right.origin],
            spread: w.stride,
        });
    }
    let weights = Planes {
        tiles,
        side: Side::Right,
        fit: steps.len(),
        steps,
        along: 1,
        across: s.outputs,
        lines: s.channels,
        floor: Floor::High,
    };
    let plan = Plan {
        frame,
        image: w.output[0] * w.output[1],
        weights,
        passes,
        output: w.image,
        narrowest: s.channels.min(s.outputs),
        few: None,
    };
    let speed = (equal_macs(&s) / s.batch, reading(context, &s, true));
    build(context, tiles, plan, fit, epilogue, speed)
}

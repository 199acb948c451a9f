//! Poolings over windows and over whole images.

use graph::Symbol;
use graph::ops::{Axis, Pad2d, PadMode, Padding, Pool2d, PoolKind, ReduceKind, UnaryKind as U, Window};

use super::super::Trouble;
use super::super::importer::{Importer, Value};
use super::super::live::Live;
use super::super::node::Node;
use super::Rule;
use super::conv::{Sliding, as_rows, from_rows, image};

pub const RULES: &[(&str, Rule)] = &[
    ("MaxPool", max_pool),
    ("AveragePool", average_pool),
    ("LpPool", lp_pool),
    ("GlobalAveragePool", |cx, node| global(cx, node, ReduceKind::Mean)),
    ("GlobalMaxPool", |cx, node| global(cx, node, ReduceKind::Max)),
];

/// The image, its window, and how far beyond the padding the last windows reach (`ceil_mode`).
fn geometry(cx: &mut Importer, node: &Node) -> Result<(Live, Sliding, Vec<usize>), Trouble> {
    let x = image(cx, node)?;
    let (shape, spatial) = (x.shape(), x.rank() - 2);
    let kernel = node.sizes("kernel_shape", spatial, 0)?;
    let window = Sliding::of(node, &shape[2..], &kernel)?;
    let up = node.flag("ceil_mode", false)?;
    let mut beyond = vec![0; spatial];
    for k in (0..spatial).filter(|_| up) {
        let [before, behind] = window.pads[k];
        let (length, stride) = (shape[2 + k], window.stride[k]);
        let reach = window.dilation[k] * (kernel[k] - 1) + 1;
        let Some(room) = (length + before + behind).checked_sub(reach) else {
            continue;
        };
        let mut last = room.div_ceil(stride);
        // A window that would begin in the padding behind is none.
        if last * stride >= length + before {
            last -= 1;
        }
        beyond[k] = (last * stride + reach).saturating_sub(length + before + behind);
    }
    Ok((x, window, beyond))
}

/// A pooling of the last two axes (or the only one), and of the first of three by itself.
fn pooled(x: &Live, window: &Sliding, kind: PoolKind) -> Result<Symbol, Trouble> {
    let spatial = x.rank() - 2;
    let [rows, columns] = match window.kernel[..] {
        [.., a, b] => [a, b],
        [b] => [1, b],
        [] => [1, 1],
    };
    let plane = Pool2d {
        kind,
        size: [rows, columns],
        window: window.plane(),
    };
    if spatial < 3 {
        return from_rows(&Symbol::apply(plane, &[&as_rows(&x.symbol, spatial)?])?, spatial);
    }
    let (depth, channels) = (x.shape()[2], x.shape()[1]);
    let images = x
        .symbol
        .reshape(&[Axis::Rest, Axis::Keep(2), Axis::Keep(3), Axis::Keep(4)])?;
    let flat = Symbol::apply(plane, &[&images])?;
    let (h, w) = (flat.shape()[1], flat.shape()[2]);
    let columns = flat.reshape(&[
        Axis::Rest,
        Axis::Length(depth),
        Axis::Length(h * w),
        Axis::Length(channels),
    ])?;
    let [before, behind] = window.pads[0];
    let along = Window {
        stride: [window.stride[0], 1],
        dilation: [window.dilation[0], 1],
        padding: Padding::Explicit([before, behind, 0, 0]),
        ..window.plane()
    };
    let y = Symbol::apply(
        Pool2d {
            kind,
            size: [window.kernel[0], 1],
            window: along,
        },
        &[&columns],
    )?;
    let out = y.shape()[1];
    Ok(y.reshape(&[
        Axis::Rest,
        Axis::Length(out),
        Axis::Length(h),
        Axis::Length(w),
        Axis::Length(channels),
    ])?)
}

fn max_pool(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (x, mut window, beyond) = geometry(cx, node)?;
    if node.wants(1) {
        return Err(Trouble::unsupported("the result `Indices`"));
    }
    window
        .pads
        .iter_mut()
        .zip(&beyond)
        .for_each(|(pad, more)| pad[1] += more);
    let y = pooled(&x, &window, PoolKind::Max)?;
    Ok(vec![x.with(y).into()])
}

fn average_pool(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (x, mut window, beyond) = geometry(cx, node)?;
    let whole = node.flag("count_include_pad", false)?;
    let reaches = beyond.iter().any(|&b| b > 0);
    if whole && reaches {
        // Padding counts, what lies beyond it does not: padding becomes part of the image.
        let padded = surrounded(&x, &window)?;
        window.pads = beyond.iter().map(|&b| [0, b]).collect();
        let y = pooled(&padded, &window, PoolKind::Average { count_padding: false })?;
        return Ok(vec![x.with(y).into()]);
    }
    window
        .pads
        .iter_mut()
        .zip(&beyond)
        .for_each(|(pad, more)| pad[1] += more);
    let y = pooled(&x, &window, PoolKind::Average { count_padding: whole })?;
    Ok(vec![x.with(y).into()])
}

/// The image with its padding as zeros of its own.
fn surrounded(x: &Live, window: &Sliding) -> Result<Live, Trouble> {
    let spatial = x.rank() - 2;
    let Padding::Explicit(plane) = window.plane().padding else {
        return Ok(x.clone());
    };
    let pad = |padding, x: &Symbol| {
        Symbol::apply(
            Pad2d {
                padding,
                mode: PadMode::Constant(0.0),
            },
            &[x],
        )
    };
    if spatial < 3 {
        let y = pad(plane, &as_rows(&x.symbol, spatial)?)?;
        return Ok(x.with(from_rows(&y, spatial)?));
    }
    let shape = x.shape();
    let images = x
        .symbol
        .reshape(&[Axis::Rest, Axis::Keep(2), Axis::Keep(3), Axis::Keep(4)])?;
    let y = pad(plane, &images)?;
    let (h, w, c) = (y.shape()[1], y.shape()[2], shape[1]);
    let columns = y.reshape(&[
        Axis::Rest,
        Axis::Length(shape[2]),
        Axis::Length(h * w),
        Axis::Length(c),
    ])?;
    let [before, behind] = window.pads[0];
    let y = pad([before, behind, 0, 0], &columns)?;
    let depth = y.shape()[1];
    Ok(x.with(y.reshape(&[
        Axis::Rest,
        Axis::Length(depth),
        Axis::Length(h),
        Axis::Length(w),
        Axis::Length(c),
    ])?))
}

/// (Σ |x|^p)^(1/p)
fn lp_pool(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (x, mut window, beyond) = geometry(cx, node)?;
    let p = match node.int("p", 2)? {
        p @ 1..=64 => p as f32,
        p => return Err(Trouble::malformed(format!("p is {p}, expected 1 or more"))),
    };
    window
        .pads
        .iter_mut()
        .zip(&beyond)
        .for_each(|(pad, more)| pad[1] += more);
    let size = x.symbol.unary(U::Abs)?;
    let powers = if p == 1.0 { size } else { size.unary(U::Power(p))? };
    let mean = pooled(
        &x.with(powers),
        &window,
        PoolKind::Average { count_padding: true },
    )?;
    let taps: usize = window.kernel.iter().product();
    let sum = mean.affine(taps as f32, 0.0)?;
    let y = if p == 1.0 {
        sum
    } else {
        sum.unary(U::Power(1.0 / p))?
    };
    Ok(vec![x.with(y).into()])
}

/// Over all axes behind batch and channels, which stay with length 1.
fn global(cx: &mut Importer, node: &Node, kind: ReduceKind) -> Result<Vec<Value>, Trouble> {
    let x = cx.picture(node, 0)?;
    let over: Vec<usize> = (2..x.rank()).map(|a| x.place(a)).collect();
    let y = x.symbol.reduce(kind, &over)?;
    Ok(vec![x.with(y).into()])
}

//! Padding, and blocks of pixels that become channels.

use graph::Symbol;
use graph::ops::{Pad2d, PadMode, Take};

use super::super::fold::list;
use super::super::importer::{Importer, Value, bounded};
use super::super::live::{Live, channels_last};
use super::super::node::{Node, axis, size};
use super::super::{Host, Trouble};
use super::Rule;

pub const RULES: &[(&str, Rule)] = &[
    ("Pad", pad),
    ("DepthToSpace", depth_to_space),
    ("SpaceToDepth", space_to_depth),
];

fn pad(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let given = match cx.known_if(node, 1)? {
        Some(host) => list(&host),
        None => node
            .ints("pads")
            .or(node.ints("paddings"))
            .unwrap_or_default()
            .to_vec(),
    };
    let value = match cx.known_if(node, 2)? {
        Some(value) => value.scalar().unwrap_or(0.0),
        None => node.float("value", 0.0),
    };
    let over = match cx.known_if(node, 3)? {
        Some(host) => list(&host)
            .iter()
            .map(|&a| axis(a, x.rank()))
            .collect::<Result<_, _>>()?,
        None => (0..x.rank()).collect::<Vec<_>>(),
    };
    if given.len() != 2 * over.len() {
        return Err(Trouble::malformed(format!(
            "{} numbers of padding for {} axes",
            given.len(),
            over.len()
        )));
    }
    let mut pads = vec![[0i64; 2]; x.rank()];
    for (k, &at) in over.iter().enumerate() {
        pads[at] = [given[k], given[over.len() + k]];
    }
    Ok(vec![
        padded(cx, &x, &pads, &node.text("mode", "constant")?, value)?.into(),
    ])
}

/// With numbers around it, or fewer elements where a padding is negative.
fn padded(cx: &mut Importer, x: &Live, pads: &[[i64; 2]], mode: &str, value: f32) -> Result<Live, Trouble> {
    let shape = x.shape();
    let longer: Vec<usize> = (0..x.rank())
        .map(|a| {
            size(
                "pads",
                (shape[a] as i64)
                    .saturating_add(pads[a][0])
                    .saturating_add(pads[a][1]),
            )
        })
        .collect::<Result<_, _>>()?;
    bounded(&longer)?;
    if x.batch.is_some_and(|b| pads[b] != [0, 0]) {
        return Err(Trouble::unsupported("padding of the batch axis"));
    }
    let of_image = x.rank() == 4 && x.order == channels_last(4) && pads[0] == [0, 0] && pads[1] == [0, 0];
    let known = match mode {
        "constant" => Some(PadMode::Constant(value)),
        "reflect" => Some(PadMode::Reflect),
        "edge" => Some(PadMode::Edge),
        _ => None,
    };
    if let (true, Some(mode)) = (of_image && pads.iter().flatten().all(|&p| p >= 0), known) {
        let padding = [pads[2][0], pads[2][1], pads[3][0], pads[3][1]].map(|p| p as usize);
        return Ok(x.with(Symbol::apply(Pad2d { padding, mode }, &[&x.symbol])?));
    }
    let mut y = x.clone();
    let mut inside = Host::floats(vec![1.0], &vec![1; x.rank()]);
    for (at, &[before, _]) in pads.iter().enumerate().filter(|(_, p)| **p != [0, 0]) {
        let (length, count) = (shape[at] as i64, longer[at] as i64);
        let source = |i: i64| source(i - before, length, mode);
        let places: Vec<f32> = (0..count).map(source).collect::<Result<_, _>>()?;
        if mode == "constant" {
            let mut along = vec![1; x.rank()];
            along[at] = longer[at];
            let mask = Host::floats(places.iter().map(|&p| f32::from(p >= 0.0)).collect(), &along);
            cx.spend(&longer[..=at])?;
            inside = product(&inside, &mask);
        }
        let places = cx.places(places)?;
        y = y.with(Symbol::apply(Take { axis: y.place(at) }, &[&y.symbol, &places])?);
    }
    if mode == "constant" && value != 0.0 {
        let outside = inside.to_f32().iter().map(|m| (1.0 - m) * value).collect();
        let outside = Host::floats(outside, &inside.shape).transposed(&y.order);
        let outside = cx.constant(&outside)?;
        y = y.with(y.symbol.add(&outside.symbol)?);
    }
    Ok(y)
}

fn product(a: &Host, b: &Host) -> Host {
    let shape: Vec<usize> = a.shape.iter().zip(&b.shape).map(|(&a, &b)| a.max(b)).collect();
    let (a, b) = (a.broadcast(&shape).to_f32(), b.broadcast(&shape).to_f32());
    Host::floats(a.iter().zip(&b).map(|(a, b)| a * b).collect(), &shape)
}

/// The place that stands at `at`, which may lie outside; −1 for none.
fn source(at: i64, length: i64, mode: &str) -> Result<f32, Trouble> {
    let inside = (0..length).contains(&at);
    let place = match mode {
        _ if inside => at,
        "constant" => -1,
        "edge" => at.clamp(0, length - 1),
        "wrap" => at.rem_euclid(length),
        "reflect" if length == 1 => 0,
        "reflect" => {
            let round = at.rem_euclid(2 * (length - 1));
            round.min(2 * (length - 1) - round)
        }
        other => return Err(Trouble::unsupported(format!("the padding mode `{other}`"))),
    };
    Ok(place as f32)
}

fn blocks(cx: &mut Importer, node: &Node) -> Result<(Live, [usize; 4], usize), Trouble> {
    let x = cx.live(node, 0)?;
    let block = size("blocksize", node.int("blocksize", 0)?)?;
    let shape = <[usize; 4]>::try_from(x.shape())
        .map_err(|s| Trouble::malformed(format!("takes 4 axes, found {s:?}")))?;
    match block {
        0 => Err(Trouble::malformed("a block size of 0")),
        block => Ok((x, shape, block)),
    }
}

fn depth_to_space(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (x, [n, c, h, w], b) = blocks(cx, node)?;
    let left = c / b.saturating_mul(b).max(1);
    if left.saturating_mul(b).saturating_mul(b) != c {
        return Err(Trouble::malformed(format!(
            "{c} channels are no multiple of {b}²"
        )));
    }
    let y = match node.text("mode", "DCR")?.as_str() {
        "CRD" => x
            .reshaped(&[n, left, b, b, h, w])?
            .transposed(&[0, 1, 4, 2, 5, 3]),
        _ => x
            .reshaped(&[n, b, b, left, h, w])?
            .transposed(&[0, 3, 4, 1, 5, 2]),
    };
    Ok(vec![y.reshaped(&[n, left, h * b, w * b])?.into()])
}

fn space_to_depth(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let (x, [n, c, h, w], b) = blocks(cx, node)?;
    if !h.is_multiple_of(b) || !w.is_multiple_of(b) {
        return Err(Trouble::malformed(format!(
            "an image of {h} × {w} is not made of blocks of {b}"
        )));
    }
    let y = x
        .reshaped(&[n, c, h / b, b, w / b, b])?
        .transposed(&[0, 3, 5, 1, 2, 4]);
    Ok(vec![y.reshaped(&[n, c * b * b, h / b, w / b])?.into()])
}

//! Resizing: along each axis a product with the matrix of interpolation weights.

use graph::Symbol;
use graph::ops::{Resize2d, ResizeMode, ResizeTo};

use super::super::importer::{Importer, Value, bounded};
use super::super::live::{Live, channels_last};
use super::super::node::{Node, axis, size};
use super::super::{Host, Trouble};
use super::Rule;
use super::reduce::along;

pub const RULES: &[(&str, Rule)] = &[("Resize", resize), ("Upsample", resize)];

/// Elements of an axis that is resized by a matrix.
const LONGEST: usize = 1 << 16;

/// How new positions are found among old ones.
struct Way {
    mode: String,
    coordinates: String,
    nearest: String,
    cubic: f64,
    exclude: bool,
    antialias: bool,
    outside: f64,
}

/// One axis that is resized.
struct Along {
    axis: usize,
    from: usize,
    to: usize,
    scale: f64,
    region: [f64; 2],
}

fn resize(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = cx.live(node, 0)?;
    let upsample = node.proto.op_type == "Upsample";
    let early = upsample || node.opset < 11;
    let way = Way {
        mode: node.text("mode", "nearest")?,
        coordinates: node.text(
            "coordinate_transformation_mode",
            if early { "asymmetric" } else { "half_pixel" },
        )?,
        nearest: node.text("nearest_mode", if early { "floor" } else { "round_prefer_floor" })?,
        cubic: f64::from(node.float("cubic_coeff_a", -0.75)),
        exclude: node.flag("exclude_outside", false)?,
        antialias: node.flag("antialias", false)?,
        outside: f64::from(node.float("extrapolation_value", 0.0)),
    };
    let shape = x.shape();
    let over: Vec<usize> = match node.ints("axes") {
        Some(axes) => axes
            .iter()
            .map(|&a| axis(a, x.rank()))
            .collect::<Result<_, _>>()?,
        None => (0..x.rank()).collect(),
    };
    let (region, scales, sizes) = asked(cx, node, early)?;
    let targets = targets(node, &shape, &over, &scales, &sizes)?;
    let mut plan = Vec::new();
    for (k, &axis) in over.iter().enumerate() {
        let (to, scale) = targets[k];
        let at = |i: usize| {
            region
                .get(i)
                .copied()
                .unwrap_or(if i < over.len() { 0.0 } else { 1.0 })
        };
        plan.push(Along {
            axis,
            from: shape[axis],
            to,
            scale,
            region: [at(k), at(k + over.len())],
        });
    }
    let crops = way.coordinates == "tf_crop_and_resize";
    plan.retain(|a| a.to != a.from || a.scale != 1.0 || (crops && a.region != [0.0, 1.0]));
    if x.batch.is_some_and(|b| plan.iter().any(|a| a.axis == b)) {
        return Err(Trouble::unsupported("resizing the batch axis"));
    }
    let longer: Vec<usize> = (0..x.rank())
        .map(|a| plan.iter().find(|p| p.axis == a).map_or(shape[a], |p| p.to))
        .collect();
    bounded(&longer)?;
    if let Some(y) = of_image(&x, &way, &plan)? {
        return Ok(vec![y.into()]);
    }
    // From the last axis to the first, as rows are interpolated before columns.
    let mut y = x;
    plan.sort_by_key(|a| std::cmp::Reverse(a.axis));
    for step in &plan {
        if step.from > LONGEST {
            return Err(Trouble::unsupported(format!(
                "resizing an axis of {} elements",
                step.from
            )));
        }
        cx.spend(&[step.from, step.to])?;
        let (weights, beyond) = matrix(&way, step)?;
        let weights = cx.constant(&Host::floats(weights, &[step.from, step.to]))?;
        y = along(&y, step.axis, &weights.symbol)?;
        if beyond.iter().any(|&b| b != 0.0) {
            y = y.with(y.symbol.add(&Symbol::constants(beyond, [step.to]))?);
        }
    }
    Ok(vec![y.into()])
}

type Asked = (Vec<f64>, Option<Vec<f64>>, Option<Vec<i64>>);

/// The region, the scales and the sizes that the node gives.
fn asked(cx: &mut Importer, node: &Node, early: bool) -> Result<Asked, Trouble> {
    let none_if_empty = |host: Option<Host>| host.filter(|h| !h.is_empty());
    if early {
        let scales = match none_if_empty(cx.known_if(node, 1)?) {
            Some(host) => host.to_f64(),
            None => node
                .floats("scales")
                .unwrap_or_default()
                .iter()
                .map(|&s| f64::from(s))
                .collect(),
        };
        return Ok((Vec::new(), Some(scales), None));
    }
    let region = none_if_empty(cx.known_if(node, 1)?)
        .map(|h| h.to_f64())
        .unwrap_or_default();
    let scales = none_if_empty(cx.known_if(node, 2)?).map(|h| h.to_f64());
    let sizes = none_if_empty(cx.known_if(node, 3)?).map(|h| h.to_i64());
    Ok((region, scales, sizes))
}

/// The new length and the scale of each axis.
fn targets(
    node: &Node,
    shape: &[usize],
    over: &[usize],
    scales: &Option<Vec<f64>>,
    sizes: &Option<Vec<i64>>,
) -> Result<Vec<(usize, f64)>, Trouble> {
    let count = sizes
        .as_ref()
        .map_or(scales.as_ref().map_or(0, Vec::len), Vec::len);
    if count != over.len() {
        return Err(Trouble::malformed(format!(
            "{count} scales or sizes for {} axes",
            over.len()
        )));
    }
    if let Some(scales) = scales {
        let target = |(&a, &scale): (&usize, &f64)| match scale > 0.0 && scale.is_finite() {
            true => Ok((size("sizes", (shape[a] as f64 * scale).floor() as i64)?, scale)),
            false => Err(Trouble::malformed(format!("a scale of {scale}"))),
        };
        return over.iter().zip(scales).map(target).collect();
    }
    let wanted: Vec<usize> = sizes
        .iter()
        .flatten()
        .map(|&s| size("sizes", s))
        .collect::<Result<_, _>>()?;
    let ratio = |(&a, &to): (&usize, &usize)| to as f64 / shape[a] as f64;
    let ratios: Vec<f64> = over.iter().zip(&wanted).map(ratio).collect();
    let common = match node.text("keep_aspect_ratio_policy", "stretch")?.as_str() {
        "not_larger" => ratios.iter().copied().reduce(f64::min),
        "not_smaller" => ratios.iter().copied().reduce(f64::max),
        _ => None,
    };
    Ok((0..over.len())
        .map(|k| match common {
            Some(scale) => (((scale * shape[over[k]] as f64) + 0.5).floor() as usize, scale),
            None => (wanted[k], ratios[k]),
        })
        .collect())
}

/// What Graticule's own resizing of images does.
fn of_image(x: &Live, way: &Way, plan: &[Along]) -> Result<Option<Live>, Trouble> {
    let fits = x.rank() == 4 && x.order == channels_last(4) && plan.iter().all(|a| a.axis > 1);
    let exact = plan
        .iter()
        .all(|a| a.scale == a.to as f64 / a.from as f64 && a.to >= a.from);
    let mode = match (way.mode.as_str(), way.coordinates.as_str()) {
        ("nearest", "asymmetric") if way.nearest == "floor" => ResizeMode::Nearest,
        ("linear", "half_pixel") => ResizeMode::Bilinear { align_corners: false },
        ("linear", "align_corners") => ResizeMode::Bilinear { align_corners: true },
        _ => return Ok(None),
    };
    if !fits || !exact || way.exclude {
        return Ok(None);
    }
    let shape = x.shape();
    let to = |axis: usize| plan.iter().find(|a| a.axis == axis).map_or(shape[axis], |a| a.to);
    let op = Resize2d {
        mode,
        to: ResizeTo::Size([to(2), to(3)]),
    };
    Ok(Some(x.with(Symbol::apply(op, &[&x.symbol])?)))
}

/// The position among the old elements that a new one looks at; `None` outside a cropped region.
fn position(way: &Way, a: &Along, at: usize) -> Result<Option<f64>, Trouble> {
    let (x, from) = (at as f64, a.from as f64);
    let to = a.scale * from;
    Ok(Some(match way.coordinates.as_str() {
        "align_corners" if to == 1.0 => 0.0,
        "align_corners" => x * (from - 1.0) / (to - 1.0),
        "asymmetric" => x / a.scale,
        "pytorch_half_pixel" if to == 1.0 => -0.5,
        "pytorch_half_pixel" | "half_pixel" => (x + 0.5) / a.scale - 0.5,
        "half_pixel_symmetric" => {
            let adjustment = a.to as f64 / to;
            from / 2.0 * (1.0 - adjustment) + (x + 0.5) / a.scale - 0.5
        }
        "tf_crop_and_resize" => {
            let [start, end] = a.region;
            let inside = match to == 1.0 {
                true => (end - start) * (from - 1.0) / 2.0,
                false => x * (end - start) * (from - 1.0) / (to - 1.0),
            };
            let at = inside + start * (from - 1.0);
            if at < 0.0 || at > from - 1.0 {
                return Ok(None);
            }
            at
        }
        other => return Err(Trouble::unsupported(format!("the coordinate mode `{other}`"))),
    }))
}

/// The weights `[from, to]`, and what is added to each new element.
fn matrix(way: &Way, a: &Along) -> Result<(Vec<f32>, Vec<f32>), Trouble> {
    let mut weights = vec![0.0; a.from * a.to];
    let mut beyond = vec![0.0; a.to];
    for to in 0..a.to {
        let Some(at) = position(way, a, to)? else {
            beyond[to] = way.outside as f32;
            continue;
        };
        let mut taps = taps(way, a, at)?;
        if way.exclude {
            taps.retain(|(i, _)| (0..a.from as i64).contains(i));
            let sum: f64 = taps.iter().map(|(_, w)| w).sum();
            taps.iter_mut().for_each(|(_, w)| *w /= sum);
        }
        for (from, weight) in taps {
            let from = from.clamp(0, a.from as i64 - 1) as usize;
            weights[from * a.to + to] += weight as f32;
        }
    }
    Ok((weights, beyond))
}

/// Old elements, which may lie outside, and their weights.
fn taps(way: &Way, a: &Along, at: f64) -> Result<Vec<(i64, f64)>, Trouble> {
    let low = at.floor();
    let ratio = at - low;
    let first = low as i64;
    let shrink = if way.antialias { a.scale.min(1.0) } else { 1.0 };
    let around = |reach: f64, weight: &dyn Fn(f64) -> f64| {
        let start = (-reach / shrink).floor() as i64 + 1;
        let taps: Vec<(i64, f64)> = (start..2 - start)
            .map(|i| (first + i, weight(((i as f64) - ratio) * shrink)))
            .collect();
        let sum: f64 = taps.iter().map(|(_, w)| w).sum();
        taps.into_iter().map(|(i, w)| (i, w / sum)).collect()
    };
    Ok(match way.mode.as_str() {
        "nearest" => {
            let nearest = match way.nearest.as_str() {
                "round_prefer_floor" if ratio == 0.5 => low,
                "round_prefer_floor" | "round_prefer_ceil" => (at + 0.5).floor(),
                "floor" => low,
                "ceil" => at.ceil(),
                other => return Err(Trouble::unsupported(format!("the nearest mode `{other}`"))),
            };
            vec![(nearest as i64, 1.0)]
        }
        "linear" | "bilinear" => around(1.0, &|d| (1.0 - d.abs()).max(0.0)),
        "cubic" => around(2.0, &|d| cubic(d.abs(), way.cubic)),
        other => return Err(Trouble::unsupported(format!("the mode `{other}`"))),
    })
}

/// The cubic kernel (Keys 1981) at a distance.
fn cubic(d: f64, a: f64) -> f64 {
    match d {
        d if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((d - 5.0) * d + 8.0) * d * a - 4.0 * a,
        _ => 0.0,
    }
}

//! Convolutions over one, two or three axes.

use graph::Symbol;
use graph::ops::{Axis, Conv2d, Conv2dTransposed, Fit, Padding, Window};

use super::super::importer::{Importer, Value, bounded};
use super::super::live::{Live, channels_last, identity};
use super::super::node::Node;
use super::super::{DataType, Trouble};
use super::Rule;
use super::shapes::cut;

pub const RULES: &[(&str, Rule)] = &[("Conv", conv), ("ConvTranspose", transposed)];

/// The geometry of a window over `axes` axes of an image.
#[derive(Debug, Clone)]
pub struct Sliding {
    pub kernel: Vec<usize>,
    pub stride: Vec<usize>,
    pub dilation: Vec<usize>,
    /// Padding before and behind each axis.
    pub pads: Vec<[usize; 2]>,
}

impl Sliding {
    /// What the node says for an image of these lengths and a kernel of these.
    pub fn of(node: &Node, image: &[usize], kernel: &[usize]) -> Result<Self, Trouble> {
        let count = kernel.len();
        let (stride, dilation) = (
            node.sizes("strides", count, 1)?,
            node.sizes("dilations", count, 1)?,
        );
        if stride.contains(&0) || dilation.contains(&0) || kernel.contains(&0) {
            return Err(Trouble::malformed(
                "strides, dilations and kernel sizes must be at least 1",
            ));
        }
        let given = node.sizes("pads", 2 * count, 0)?;
        let mut pads: Vec<[usize; 2]> = (0..count).map(|k| [given[k], given[count + k]]).collect();
        let auto = node.text("auto_pad", "NOTSET")?;
        for (k, pad) in pads.iter_mut().enumerate() {
            let reach = dilation[k] * (kernel[k] - 1) + 1;
            let needed = ((image[k].div_ceil(stride[k]) - 1) * stride[k] + reach).saturating_sub(image[k]);
            *pad = match auto.as_str() {
                "SAME_UPPER" => [needed / 2, needed - needed / 2],
                "SAME_LOWER" => [needed - needed / 2, needed / 2],
                "VALID" => [0, 0],
                "" | "NOTSET" => *pad,
                other => return Err(Trouble::malformed(format!("auto_pad is `{other}`"))),
            };
        }
        let padded: Vec<usize> = image.iter().zip(&pads).map(|(l, p)| l + p[0] + p[1]).collect();
        bounded(&padded)?;
        Ok(Self {
            kernel: kernel.to_vec(),
            stride,
            dilation,
            pads,
        })
    }

    /// The window over the last two axes; of one axis as the columns of a single row.
    pub fn plane(&self) -> Window {
        let two = |of: &[usize], missing: usize| match of {
            [.., a, b] => [*a, *b],
            [b] => [missing, *b],
            [] => [missing; 2],
        };
        let none = [0, 0];
        let [rows, columns] = match &self.pads[..] {
            [.., a, b] => [*a, *b],
            [b] => [none, *b],
            [] => [none, none],
        };
        Window {
            stride: two(&self.stride, 1),
            dilation: two(&self.dilation, 1),
            padding: Padding::Explicit([rows[0], rows[1], columns[0], columns[1]]),
            fit: Fit::Floor,
        }
    }
}

/// An image of one axis as one of a single row.
pub fn as_rows(x: &Symbol, spatial: usize) -> Result<Symbol, Trouble> {
    Ok(match spatial {
        1 => x.reshape(&[Axis::Keep(0), Axis::Length(1), Axis::Keep(1), Axis::Keep(2)])?,
        _ => x.clone(),
    })
}

/// The reverse of [`as_rows`].
pub fn from_rows(y: &Symbol, spatial: usize) -> Result<Symbol, Trouble> {
    Ok(match spatial {
        1 => y.reshape(&[Axis::Keep(0), Axis::Keep(2), Axis::Keep(3)])?,
        _ => y.clone(),
    })
}

/// The image, channels last, of 1 to 3 axes.
pub fn image(cx: &mut Importer, node: &Node) -> Result<Live, Trouble> {
    let x = cx.live(node, 0)?;
    if !(3..=5).contains(&x.rank()) {
        return Err(Trouble::unsupported(format!(
            "an image of shape {:?}: it needs 1 to 3 axes behind batch and channels; this",
            x.shape()
        )));
    }
    if x.batch.is_some_and(|b| b != 0) {
        return Err(Trouble::unsupported("an image whose first axis is not the batch"));
    }
    Ok(x.arranged(&channels_last(x.rank()))?)
}

/// The weights `[O, C/g, …]` (or `[C, O/g, …]`) held with `last` behind and `before` before it.
fn weights(cx: &mut Importer, node: &Node, spatial: usize, channels: [usize; 2]) -> Result<Live, Trouble> {
    let value = cx.operand(node, 1)?;
    if value.rank() != spatial + 2 {
        return Err(Trouble::malformed(format!(
            "weights of shape {:?} for an image of {} axes",
            value.shape(),
            spatial + 2
        )));
    }
    let mut order: Vec<usize> = (2..value.rank()).collect();
    order.extend(channels);
    cx.weight(&value, &order, "weight", true)
}

/// The weights of a convolution over one axis as those of a single row.
fn as_kernel(w: &Symbol, spatial: usize) -> Result<Symbol, Trouble> {
    Ok(match spatial {
        1 => w.reshape(&[Axis::Length(1), Axis::Keep(0), Axis::Keep(1), Axis::Keep(2)])?,
        _ => w.clone(),
    })
}

fn conv(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = image(cx, node)?;
    let (shape, spatial) = (x.shape(), x.rank() - 2);
    let w = weights(cx, node, spatial, [1, 0])?;
    let groups = super::super::node::size("group", node.int("group", 1)?)?;
    let window = Sliding::of(node, &shape[2..], &w.shape()[2..])?;
    let y = match spatial {
        3 => volume(&x, &w, &window, groups)?,
        _ => {
            let conv = Conv2d {
                window: window.plane(),
                groups,
            };
            let y = Symbol::apply(
                conv,
                &[&as_rows(&x.symbol, spatial)?, &as_kernel(&w.symbol, spatial)?],
            )?;
            from_rows(&y, spatial)?
        }
    };
    Ok(vec![biased(cx, node, &x, y)?.into()])
}

/// y + b, where there is a bias.
fn biased(cx: &mut Importer, node: &Node, x: &Live, y: Symbol) -> Result<Live, Trouble> {
    let y = match cx.operand_if(node, 2)? {
        None => y,
        Some(bias) => {
            let b = cx.weight(&bias, &identity(bias.rank()), "bias", true)?;
            y.add(&b.symbol)?
        }
    };
    Ok(Live {
        kind: DataType::Float,
        ..x.with(y)
    })
}

/// A convolution over three axes: the sum over the kernel's slices of convolutions of the image's slices.
fn volume(x: &Live, w: &Live, window: &Sliding, groups: usize) -> Result<Symbol, Trouble> {
    let (before, behind) = (window.pads[0][0], window.pads[0][1]);
    let depth = x.shape()[2];
    let reach = window.dilation[0] * (window.kernel[0] - 1) + 1;
    let room = (depth + before + behind).checked_sub(reach);
    let out =
        room.ok_or_else(|| Trouble::malformed("the kernel is larger than the image"))? / window.stride[0] + 1;
    let conv = Conv2d {
        window: window.plane(),
        groups,
    };
    let mut sum: Option<Symbol> = None;
    for tap in 0..window.kernel[0] {
        // Slices outside the image are zeros, which a place outside stands for.
        let at = |o: usize| (o * window.stride[0] + tap * window.dilation[0]) as f32 - before as f32;
        let places = Symbol::constants((0..out).map(at).collect(), [out]);
        let slices = Symbol::apply(graph::ops::Take { axis: 1 }, &[&x.symbol, &places])?;
        let kernel = cut(&w.symbol, 0, tap, 1, 1)?.reshape(&[1, 2, 3, 4].map(Axis::Keep))?;
        let images = slices.reshape(&[Axis::Rest, Axis::Keep(2), Axis::Keep(3), Axis::Keep(4)])?;
        let part = Symbol::apply(conv, &[&images, &kernel])?;
        sum = Some(match sum {
            None => part,
            Some(sum) => sum.add(&part)?,
        });
    }
    let sum = sum.ok_or_else(|| Trouble::malformed("an empty kernel"))?;
    Ok(sum.reshape(&[
        Axis::Rest,
        Axis::Length(out),
        Axis::Keep(1),
        Axis::Keep(2),
        Axis::Keep(3),
    ])?)
}

fn transposed(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let x = image(cx, node)?;
    let (shape, spatial) = (x.shape(), x.rank() - 2);
    let w = weights(cx, node, spatial, [1, 0])?;
    let groups = super::super::node::size("group", node.int("group", 1)?)?;
    let kernel = &w.shape()[2..];
    let mut window = Sliding::of(node, &shape[2..], kernel)?;
    let mut added = node.sizes("output_padding", spatial, 0)?;
    let auto = node.text("auto_pad", "NOTSET")?;
    let wanted = node
        .ints("output_shape")
        .map(|s| s[s.len().saturating_sub(spatial)..].to_vec());
    for k in 0..spatial {
        let full =
            (shape[2 + k] - 1) * window.stride[k] + window.dilation[k] * (kernel[k] - 1) + 1 + added[k];
        let target = match (&wanted, auto.as_str()) {
            (Some(wanted), _) => {
                super::super::node::size("output_shape", wanted.get(k).copied().unwrap_or(0))?
            }
            (None, "SAME_UPPER" | "SAME_LOWER") => shape[2 + k] * window.stride[k],
            _ => continue,
        };
        // What the result lacks to its full size is cut off as padding; what it exceeds it by is added.
        let cut = full.saturating_sub(target);
        let upper = auto == "SAME_UPPER";
        window.pads[k] = if upper {
            [cut / 2, cut - cut / 2]
        } else {
            [cut - cut / 2, cut / 2]
        };
        added[k] += target.saturating_sub(full);
    }
    let output_padding = match added[..] {
        [.., a, b] => [a, b],
        [b] => [0, b],
        _ => [0, 0],
    };
    let out: Vec<usize> = (0..spatial)
        .map(|k| shape[2 + k].saturating_mul(window.stride[k]) + kernel[k] * window.dilation[k] + added[k])
        .collect();
    bounded(&out)?;
    let op = Conv2dTransposed {
        conv: Conv2d {
            window: window.plane(),
            groups,
        },
        output_padding,
    };
    if spatial == 3 {
        let y = volume_transposed(&x, &w, &window, op, added[0])?;
        return Ok(vec![biased(cx, node, &x, y)?.into()]);
    }
    let y = Symbol::apply(
        op,
        &[&as_rows(&x.symbol, spatial)?, &as_kernel(&w.symbol, spatial)?],
    )?;
    let y = from_rows(&y, spatial)?;
    Ok(vec![biased(cx, node, &x, y)?.into()])
}

/// A transposed convolution over three axes: each slice of the kernel puts slices of the image where they belong.
fn volume_transposed(
    x: &Live,
    w: &Live,
    window: &Sliding,
    op: Conv2dTransposed,
    added: usize,
) -> Result<Symbol, Trouble> {
    let (depth, [before, behind]) = (x.shape()[2], window.pads[0]);
    let (stride, dilation, kernel) = (window.stride[0], window.dilation[0], window.kernel[0]);
    let full = (depth - 1) * stride + dilation * (kernel - 1) + 1 + added;
    let out = full.checked_sub(before + behind).filter(|&o| o > 0);
    let out = out.ok_or_else(|| Trouble::malformed("its padding leaves nothing of the result"))?;
    let images = x
        .symbol
        .reshape(&[Axis::Rest, Axis::Keep(2), Axis::Keep(3), Axis::Keep(4)])?;
    let mut sum: Option<Symbol> = None;
    for tap in 0..kernel {
        let slice = cut(&w.symbol, 0, tap, 1, 1)?.reshape(&[1, 2, 3, 4].map(Axis::Keep))?;
        let flat = Symbol::apply(op, &[&images, &slice])?;
        let slices = flat.reshape(&[
            Axis::Rest,
            Axis::Length(depth),
            Axis::Keep(1),
            Axis::Keep(2),
            Axis::Keep(3),
        ])?;
        let source = |o: usize| match (o + before).checked_sub(tap * dilation) {
            Some(at) if at.is_multiple_of(stride) => (at / stride) as f32,
            _ => -1.0,
        };
        let places = Symbol::constants((0..out).map(source).collect(), [out]);
        let part = Symbol::apply(graph::ops::Take { axis: 1 }, &[&slices, &places])?;
        sum = Some(match sum {
            None => part,
            Some(sum) => sum.add(&part)?,
        });
    }
    sum.ok_or_else(|| Trouble::malformed("an empty kernel"))
}

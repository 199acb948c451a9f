//! How a parameter lies here, and how it lies in PyTorch.
//!
//! One rule covers all weights: ours are `[rows, columns, channels, filters]`, PyTorch's
//! `[filters, channels, rows, columns]`. A dense layer has one row and one column, but for one that reads a
//! flattened image: its inputs go by `[H, W, C]` here and by `[C, H, W]` there.

use std::collections::HashMap;

use graph::Symbol;
use graph::ops::Op;
use nn::Model;

/// Filters that are moved at once: as many as a cache line has numbers.
const TILE: usize = 16;

/// The two layouts of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    /// The shape that PyTorch gives it.
    pub(crate) torch: Vec<usize>,
    /// Rows, columns, channels, filters of a weight; `None` where both layouts are the same.
    swapped: Option<[usize; 4]>,
}

/// The layout of each parameter, in the model's order.
pub(crate) fn layouts(model: &Model) -> Vec<Layout> {
    let mut of_weights: HashMap<u64, Layout> = HashMap::new();
    for node in model.nodes() {
        let [x, weight, ..] = node.inputs() else {
            continue;
        };
        if weight.as_parameter().is_some()
            && let Some(layout) = of_weight(node, x, weight)
        {
            of_weights.entry(weight.id()).or_insert(layout);
        }
    }
    let of = |p: &nn::NamedParameter| {
        of_weights.remove(&p.symbol.id()).unwrap_or_else(|| Layout {
            torch: p.shape().to_vec(),
            swapped: None,
        })
    };
    model.parameters().iter().map(of).collect()
}

fn of_weight(node: &Symbol, x: &Symbol, weight: &Symbol) -> Option<Layout> {
    match (node.op(), &weight.shape()[..]) {
        (Op::Conv2d(_) | Op::Conv2dTransposed(_), &[rows, columns, channels, filters]) => {
            let mut torch = vec![filters, channels, rows, columns];
            if node.scope().is_some_and(|scope| scope.kind == "conv1d") {
                torch.remove(2);
            }
            let swapped = Some([rows, columns, channels, filters]);
            Some(Layout { torch, swapped })
        }
        (Op::MatMul(product), &[features, units]) if !product.transpose_a && !product.transpose_b => {
            let [rows, columns, channels] = flattened(x, features).unwrap_or([1, 1, features]);
            let swapped = Some([rows, columns, channels, units]);
            let torch = vec![units, features];
            Some(Layout { torch, swapped })
        }
        _ => None,
    }
}

/// Rows, columns and channels of the image that was flattened to `features` numbers, if `x` is one.
fn flattened(x: &Symbol, features: usize) -> Option<[usize; 3]> {
    let mut x = x;
    loop {
        let before = x.inputs().first()?;
        match (x.op(), &before.shape()[..]) {
            (Op::Reshape(_), &[_, h, w, c]) if h * w * c == features => return Some([h, w, c]),
            (Op::Unary(_) | Op::Affine(_) | Op::Dropout(_) | Op::Reshape(_), _)
                if before.shape() == x.shape() =>
            {
                x = before;
            }
            _ => return None,
        }
    }
}

impl Layout {
    /// How many of PyTorch's numbers are best turned at once.
    pub(crate) fn run(&self) -> usize {
        self.swapped.map_or(1 << 16, |sizes| TILE * inputs(sizes)).max(1)
    }

    /// Puts some of PyTorch's numbers where they belong: those from `first` on, a multiple of [`Layout::run`].
    pub(crate) fn put(&self, ours: &mut [f32], first: usize, torch: &[f32]) {
        let Some(sizes) = self.swapped else {
            ours[first..first + torch.len()].copy_from_slice(torch);
            return;
        };
        let inputs = inputs(sizes);
        let tile = torch.len() / inputs;
        rows(sizes, |here, there| {
            let here = here + first / inputs;
            for (filter, number) in ours[here..here + tile].iter_mut().enumerate() {
                *number = torch[filter * inputs + there];
            }
        });
    }

    /// Our numbers in PyTorch's order.
    pub(crate) fn to_torch(&self, ours: &[f32]) -> Vec<f32> {
        let Some(sizes) = self.swapped else {
            return ours.to_vec();
        };
        let (mut torch, inputs) = (vec![0.0; ours.len()], inputs(sizes));
        for (first, turned) in (0..).step_by(TILE).zip(torch.chunks_mut(TILE * inputs)) {
            let tile = turned.len() / inputs;
            rows(sizes, |here, there| {
                for (filter, number) in ours[here + first..][..tile].iter().enumerate() {
                    turned[filter * inputs + there] = *number;
                }
            });
        }
        torch
    }
}

/// Numbers of one filter.
fn inputs([rows, columns, channels, _]: [usize; 4]) -> usize {
    rows * columns * channels
}

/// Calls `visit` for each number of a filter with its place in filter 0 of our layout and in a filter of PyTorch's: a few
/// filters are turned at a time, so that both sides are gone through in runs.
fn rows([rows, columns, channels, filters]: [usize; 4], mut visit: impl FnMut(usize, usize)) {
    let taps = rows * columns;
    for channel in 0..channels {
        for tap in 0..taps {
            visit((tap * channels + channel) * filters, channel * taps + tap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nn::prelude::*;

    fn layout(model: &Model, name: &str) -> Layout {
        let place = model.parameters().iter().position(|p| p.name == name);
        layouts(model).swap_remove(place.expect("a parameter of this name"))
    }

    /// By the definition, one number at a time.
    #[test]
    fn numbers_go_where_pytorch_has_them_and_back() {
        let image = Symbol::input("image", [6, 7, 4]);
        let x = Conv2d::new(34, [3, 2])
            .groups(2)
            .on(&image)
            .expect("a convolution");
        let x = Relu.on(&Flatten.on(&x).expect("flat")).expect("relu");
        let x = Dropout::new(0.5).on(&x).expect("dropout");
        let y = Dense::new(19).on(&x).expect("a dense layer");
        let model = Model::new("small", &image, &y).expect("a model");
        for (name, sizes) in [("conv2d.weight", [3, 2, 2, 34]), ("dense.weight", [4, 6, 34, 19])] {
            let layout = layout(&model, name);
            let [rows, columns, channels, filters] = sizes;
            let ours: Vec<f32> = (0..rows * columns * channels * filters)
                .map(|i| i as f32)
                .collect();
            let torch = layout.to_torch(&ours);
            for (here, value) in ours.iter().enumerate() {
                let (f, rest) = (here % filters, here / filters);
                let (c, rest) = (rest % channels, rest / channels);
                let (w, h) = (rest % columns, rest / columns);
                assert_eq!(
                    torch[((f * channels + c) * rows + h) * columns + w],
                    *value,
                    "{name}"
                );
            }
            let mut back = vec![0.0; ours.len()];
            for (first, run) in (0..).step_by(layout.run()).zip(torch.chunks(layout.run())) {
                layout.put(&mut back, first, run);
            }
            assert_eq!(back, ours, "{name}");
        }
        assert_eq!(layout(&model, "conv2d.weight").torch, [34, 2, 3, 2]);
        assert_eq!(layout(&model, "dense.weight").torch, [19, 816]);
        assert_eq!(layout(&model, "dense.bias").torch, [19]);
    }
}

//! Scales and shifts of channels behind a convolution or product become part of its weights and bias: a
//! network with batch norm then infers as fast as one without.

use std::collections::HashMap;

use crate::ops::{BinaryKind, Op};
use crate::{GraphError, Symbol, topological};

/// `outputs` with every per-channel scale behind a [`crate::ops::Conv2d`], transposed convolution or matrix
/// product moved into its weights, and per-channel shifts that follow one another added up:
/// (x ⋆ w + b)·s + t = x ⋆ (w·s) + (b·s + t). Only where nobody else reads what lies between, and where s and t
/// do not depend on an input. The new weights are small ops on parameters, so they are made anew only
/// when the parameters have changed.
///
/// # Errors
/// A shape error of a replacement, which would be an error of this function.
pub fn fold_scales(outputs: &[Symbol]) -> Result<Vec<Symbol>, GraphError> {
    let nodes = topological(outputs);
    let mut readers: HashMap<u64, usize> = HashMap::new();
    for read in nodes.iter().flat_map(|n| n.inputs()).chain(outputs) {
        *readers.entry(read.id()).or_default() += 1;
    }
    let mut folded: HashMap<u64, Symbol> = HashMap::new();
    // Whether a node depends on no input.
    let mut fixed: HashMap<u64, bool> = HashMap::new();
    for node in &nodes {
        let steady = !matches!(node.op(), Op::Input(_)) && node.inputs().iter().all(|i| fixed[&i.id()]);
        fixed.insert(node.id(), steady && !matches!(node.op(), Op::DropoutMask(_)));
        let _scope = crate::Scope::resume(node.scope().cloned());
        let inputs: Vec<&Symbol> = node
            .inputs()
            .iter()
            .map(|i| folded.get(&i.id()).unwrap_or(i))
            .collect();
        // A bias is looked through, so what stands before it must have no other reader either.
        let lone = |k: usize| {
            let x = &node.inputs()[k];
            let before = x
                .inputs()
                .iter()
                .filter(|i| matches!(x.op(), Op::Binary(_)) && !fixed[&i.id()]);
            readers[&x.id()] == 1 && before.into_iter().all(|i| readers[&i.id()] == 1)
        };
        let new = match channel_wise(node, &inputs, &fixed) {
            Some((kind, x, vector)) if lone(x) => absorb(kind, inputs[x], inputs[vector])?,
            _ => None,
        };
        let changed = inputs.iter().zip(node.inputs()).any(|(new, old)| *new != old);
        if let Some(new) = new {
            folded.insert(node.id(), new);
        } else if changed {
            folded.insert(node.id(), node.with_inputs(&inputs)?);
        }
    }
    Ok(outputs
        .iter()
        .map(|o| folded.get(&o.id()).unwrap_or(o).clone())
        .collect())
}

/// For a product or sum of a tensor and a fixed vector of its channels: which, and where they stand.
fn channel_wise(
    node: &Symbol,
    inputs: &[&Symbol],
    fixed: &HashMap<u64, bool>,
) -> Option<(BinaryKind, usize, usize)> {
    let Op::Binary(binary) = node.op() else {
        return None;
    };
    if !matches!(binary.kind, BinaryKind::Multiply | BinaryKind::Add) {
        return None;
    }
    let vector = |k: usize| {
        let (v, x) = (inputs[k], inputs[1 - k]);
        fixed[&node.inputs()[k].id()]
            && v.shape().rank() == 1
            && x.shape().rank() > 1
            && v.shape().last_axis() == x.shape().last_axis()
    };
    [1, 0]
        .into_iter()
        .find(|&k| vector(k))
        .map(|k| (binary.kind, 1 - k, k))
}

/// The convolution or product `x`, perhaps with a bias already, times or plus a vector.
fn absorb(kind: BinaryKind, x: &Symbol, vector: &Symbol) -> Result<Option<Symbol>, GraphError> {
    if let Some((product, bias)) = biased(x) {
        return Ok(Some(match kind {
            BinaryKind::Add => product.add(&bias.add(vector)?)?,
            _ => scaled(&product, vector)?.add(&bias.mul(vector)?)?,
        }));
    }
    match kind {
        BinaryKind::Multiply if takes_scale(x) => scaled(x, vector).map(Some),
        _ => Ok(None),
    }
}

fn takes_scale(x: &Symbol) -> bool {
    match x.op() {
        Op::Conv2d(_) => true,
        Op::MatMul(product) => !product.transpose_b && x.inputs()[1].shape().rank() == 2,
        _ => false,
    }
}

/// A product and its bias.
fn biased(x: &Symbol) -> Option<(Symbol, Symbol)> {
    let Op::Binary(binary) = x.op() else { return None };
    let [product, bias] = x.inputs() else { return None };
    let vector = bias.shape().rank() == 1 && bias.shape().last_axis() == product.shape().last_axis();
    (binary.kind == BinaryKind::Add && vector && takes_scale(product))
        .then(|| (product.clone(), bias.clone()))
}

/// x ⋆ (w·s)
fn scaled(product: &Symbol, scale: &Symbol) -> Result<Symbol, GraphError> {
    let [x, w] = [&product.inputs()[0], &product.inputs()[1]];
    let inputs = [x, &w.mul(scale)?];
    product.with_inputs(&inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;
    use crate::interpret::evaluate;
    use crate::ops::Conv2d;

    fn parameter(shape: &[usize]) -> Symbol {
        Symbol::parameter("p", Shape::new(shape), Default::default())
    }

    fn count(outputs: &[Symbol], name: &str) -> usize {
        let reads_input = |s: &&Symbol| {
            topological(std::slice::from_ref(*s))
                .iter()
                .any(|n| n.as_input().is_some())
        };
        topological(outputs)
            .iter()
            .filter(|n| n.op().name() == name)
            .filter(reads_input)
            .count()
    }

    fn network(twice: bool) -> Symbol {
        let x = Symbol::input("x", [5, 6, 2]);
        let conv = Conv2d {
            window: Default::default(),
            groups: 1,
        };
        let y = Symbol::apply(conv, &[&x, &parameter(&[3, 3, 2, 4])]).unwrap();
        let y = y.add(&parameter(&[4])).unwrap();
        let z = y.mul(&parameter(&[4])).unwrap().add(&parameter(&[4])).unwrap();
        if twice { z.add(&y).unwrap() } else { z }
    }

    #[test]
    fn a_scale_and_shift_behind_a_convolution_become_its_weights() {
        let plain = [network(false)];
        let folded = fold_scales(&plain).unwrap();
        assert_eq!((count(&plain, "multiply"), count(&folded, "multiply")), (1, 0));
        assert_eq!((count(&plain, "add"), count(&folded, "add")), (2, 1));
        assert!(largest_difference(&plain, &folded) < 1e-12);
    }

    #[test]
    fn what_somebody_else_reads_stays() {
        let plain = [network(true)];
        let folded = fold_scales(&plain).unwrap();
        assert_eq!((count(&folded, "multiply"), count(&folded, "conv2d")), (1, 1));
        assert!(largest_difference(&plain, &folded) < 1e-12);
    }

    fn largest_difference(a: &[Symbol], b: &[Symbol]) -> f64 {
        let nodes = topological(a);
        let leaves = nodes
            .iter()
            .filter(|n| n.as_input().is_some() || n.as_parameter().is_some());
        let given: Vec<(&Symbol, ndarray::ArrayD<f64>)> = leaves
            .enumerate()
            .map(|(k, leaf)| {
                let mut i = k as f64;
                let number = || {
                    i += 0.7;
                    i.sin().abs() + 0.1
                };
                (
                    leaf,
                    ndarray::ArrayD::from_shape_simple_fn(leaf.shape().to_vec(), number),
                )
            })
            .collect();
        let [a, b] = [a, b].map(|outputs| evaluate(outputs, &given, 1).unwrap().remove(0));
        (a - b).iter().fold(0.0, |most: f64, d| most.max(d.abs()))
    }
}

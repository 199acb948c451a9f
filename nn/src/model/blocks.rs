//! A network as a row of blocks, from its input to its head: what transfer learning keeps, freezes and replaces
//! (curriculum rows O18, O19).

use std::collections::HashMap;

use graph::ops::{Dropout, Op};
use graph::{GraphError, Scope, Symbol};

use super::{Model, NamedParameter};
use crate::layers::{Dense, Flatten, GlobalAvgPool2d};

/// A stretch of a network with parameters of its own; all that it knows of the input comes through one node.
#[derive(Debug, Clone)]
pub struct Block {
    /// The path that its parameters' names share, or the layer of the first of them.
    pub name: String,
    /// All that the block reads of what lies before it.
    pub input: Symbol,
    /// Its parameters, running statistics included.
    pub parameters: Vec<NamedParameter>,
}

/// What lies between two nodes that every way from the input to the output passes through.
struct Stretch {
    input: Symbol,
    parameters: Vec<NamedParameter>,
    drops: bool,
}

/// The blocks of `model` from the input on; the last one is its head. A residual or inception block is one, and so
/// is a convolution with its batch norm; layers without parameters belong to the block before them, but for
/// dropout, which belongs to the block that reads it. A network that is crossed from end to end (U-Net) is one block.
///
/// ```
/// use graticule_nn::model::blocks;
/// use graticule_nn::prelude::*;
/// let x = Symbol::input("x", [4]);
/// let model = Model::new("two", &x, &Dense::new(3).on(&Dense::new(8).activation(Relu).on(&x)?)?)?;
/// let names: Vec<String> = blocks(&model).into_iter().map(|block| block.name).collect();
/// assert_eq!(names, ["dense", "dense_1"]);
/// # Ok::<(), GraphError>(())
/// ```
pub fn blocks(model: &Model) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut before_dropout: Option<Symbol> = None;
    for stretch in stretches(model) {
        let has_weights = stretch
            .parameters
            .iter()
            .any(|p| p.trainable() && p.shape().rank() > 1);
        match blocks.last_mut() {
            _ if stretch.parameters.is_empty() => {
                if stretch.drops {
                    before_dropout.get_or_insert(stretch.input);
                }
                continue;
            }
            Some(last) if !has_weights => last.parameters.extend(stretch.parameters),
            _ => blocks.push(Block {
                name: String::new(),
                input: before_dropout.take().unwrap_or(stretch.input),
                parameters: stretch.parameters,
            }),
        }
        before_dropout = None;
    }
    for block in &mut blocks {
        block.name = shared_path(&block.parameters);
    }
    blocks
}

/// The same network with a new head: one dense layer of `outputs` units on what its last block reads. Parameters
/// before it keep their names.
///
/// # Errors
/// [`GraphError::Name`] when the network has no block before its head, or several inputs or outputs.
pub fn with_new_head(model: &Model, outputs: usize) -> Result<Model, GraphError> {
    let blocks = blocks(model);
    let ([_, .., head], [input], [_]) = (&blocks[..], model.inputs(), model.outputs()) else {
        return Err(GraphError::Name(format!(
            "model `{}` has {} blocks, {} inputs and {} outputs; a new head needs a block to stand on, one input and \
             one output",
            model.name(),
            blocks.len(),
            model.inputs().len(),
            model.outputs().len()
        )));
    };
    let scope = head.parameters.first().and_then(|p| p.symbol.scope()).cloned();
    let (name, parent) = scope.map_or((None, None), |s| (s.name.clone(), s.parent.clone()));
    let rate = model.nodes().iter().find_map(|node| match node.op() {
        Op::Dropout(dropout) if node.inputs().contains(&head.input) => Some(dropout.rate),
        _ => None,
    });
    let mut features = match head.input.shape().rank() {
        2 => head.input.clone(),
        4 => GlobalAvgPool2d.on(&head.input)?,
        _ => Flatten.on(&head.input)?,
    };
    if let Some(rate) = rate {
        let _layer = Scope::enter("dropout", None);
        features = Symbol::apply(Dropout { rate }, &[&features])?;
    }
    let _parent = Scope::resume(parent);
    let dense = Dense::new(outputs);
    let logits = match name {
        Some(name) => dense.name(&name).on(&features)?,
        None => dense.on(&features)?,
    };
    Model::new(model.name(), input, &logits)
}

/// The stretches between the nodes that everything passes through.
fn stretches(model: &Model) -> Vec<Stretch> {
    let nodes = model.nodes();
    let place: HashMap<u64, usize> = nodes.iter().enumerate().map(|(i, n)| (n.id(), i)).collect();
    let named: HashMap<u64, &NamedParameter> =
        model.parameters().iter().map(|p| (p.symbol.id(), p)).collect();
    // What depends on an input; the parameters that other nodes lead to; the last reader of each node.
    let mut flows = vec![false; nodes.len()];
    let mut leads: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut last_reader: Vec<usize> = vec![0; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        let reads: Vec<usize> = node.inputs().iter().map(|n| place[&n.id()]).collect();
        flows[i] = node.as_input().is_some() || reads.iter().any(|&r| flows[r]);
        if named.contains_key(&node.id()) {
            leads[i].push(i);
        }
        for &r in &reads {
            if flows[r] {
                last_reader[r] = i;
            } else {
                let found = leads[r].clone();
                leads[i].extend(found);
            }
        }
    }
    for output in model.outputs() {
        last_reader[place[&output.id()]] = nodes.len();
    }
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut taken = vec![false; nodes.len()];
    let (mut reach, mut open) = (0, None::<Stretch>);
    for (i, node) in nodes.iter().enumerate().filter(|(i, _)| flows[*i]) {
        if let Some(stretch) = &mut open {
            stretch.drops |= matches!(node.op(), Op::Dropout(_));
            for &p in leads[i]
                .iter()
                .filter(|&&p| !std::mem::replace(&mut taken[p], true))
            {
                stretch.parameters.push(named[&nodes[p].id()].clone());
            }
        }
        // Nothing before this node is read behind it.
        if reach <= i {
            let next = Stretch {
                input: node.clone(),
                parameters: Vec::new(),
                drops: false,
            };
            stretches.extend(open.replace(next));
        }
        reach = reach.max(last_reader[i]);
    }
    stretches
}

/// `layer1.0` of `layer1.0.conv1.weight` and `layer1.0.bn1.weight`.
fn shared_path(parameters: &[NamedParameter]) -> String {
    let path = |p: &NamedParameter| -> Vec<String> {
        let mut parts: Vec<String> = p.name.split('.').map(Into::into).collect();
        parts.pop();
        parts
    };
    let Some(first) = parameters.first().map(path) else {
        return String::new();
    };
    let mut shared = first.clone();
    for other in parameters.iter().map(path) {
        let same = shared.iter().zip(&other).take_while(|(a, b)| a == b).count();
        shared.truncate(same);
    }
    if shared.is_empty() {
        first.join(".")
    } else {
        shared.join(".")
    }
}

#[cfg(test)]
#[path = "blocks/tests.rs"]
mod tests;

//! Training and inference: ops that behave differently become plain ops before anything else.

use std::collections::HashMap;

use crate::{GraphError, Symbol, fold_scales, topological};

/// What a graph is lowered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, dropout active.
    Train,
    /// Running statistics, dropout absent.
    Infer,
}

/// A graph without mode-dependent ops.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// The outputs asked for, in their order.
    pub outputs: Vec<Symbol>,
    /// State parameters and the value each takes after a step (running statistics).
    pub updates: Vec<(Symbol, Symbol)>,
}

/// Rewrites the graph behind `outputs` for `mode`: an op with a rule of its own
/// ([`crate::Operation::lower`]) is replaced, everything that does not depend on one stays the same node.
/// For inference, channel scales then move into the weights before them ([`fold_scales`]).
///
/// # Errors
/// A shape error of a replacement.
pub fn lower(outputs: &[Symbol], mode: Mode) -> Result<Lowered, GraphError> {
    let lowered = lower_each(outputs, |_| mode)?;
    let outputs = match mode {
        Mode::Train => lowered.outputs,
        Mode::Infer => fold_scales(&lowered.outputs)?,
    };
    Ok(Lowered { outputs, ..lowered })
}

/// As [`lower`], with a mode for each node: layers that are frozen run as at inference, in the midst of training.
/// No scale moves into weights.
///
/// # Errors
/// As [`lower`].
pub fn lower_each(outputs: &[Symbol], mode_of: impl Fn(&Symbol) -> Mode) -> Result<Lowered, GraphError> {
    let mut replaced: HashMap<u64, Symbol> = HashMap::new();
    let mut updates = Vec::new();
    let mut ordinal = 0;
    for node in topological(outputs) {
        let inputs: Vec<&Symbol> = node
            .inputs()
            .iter()
            .map(|i| replaced.get(&i.id()).unwrap_or(i))
            .collect();
        let changed = inputs.iter().zip(node.inputs()).any(|(new, old)| *new != old);
        let _scope = crate::Scope::resume(node.scope().cloned());
        if let Some((new, states)) = node.op().lower(&inputs, mode_of(&node), ordinal)? {
            ordinal += 1;
            updates.extend(states);
            replaced.insert(node.id(), new);
        } else if changed {
            let new = node.with_inputs(&inputs)?;
            replaced.insert(node.id(), new);
        }
    }
    let outputs: Vec<Symbol> = outputs
        .iter()
        .map(|o| replaced.get(&o.id()).unwrap_or(o).clone())
        .collect();
    Ok(Lowered { outputs, updates })
}

/// `outputs` as they are when `with` stands in the place of `node`; all that does not depend on it stays the
/// same. So a network is cut in two: what reads a feature reads an input instead.
///
/// ```
/// use graticule_graph::{Symbol, replace, topological};
/// let x = Symbol::input("x", [3]);
/// let feature = x.mul(&x)?;
/// let y = feature.add(&feature)?;
/// let given = Symbol::input("feature", [3]);
/// let head = replace(&[y], &feature, &given)?;
/// assert!(!topological(&head).contains(&x));
/// # Ok::<(), graticule_graph::GraphError>(())
/// ```
///
/// # Errors
/// When a reader cannot take the shape of `with`.
pub fn replace(outputs: &[Symbol], node: &Symbol, with: &Symbol) -> Result<Vec<Symbol>, GraphError> {
    let mut replaced = HashMap::from([(node.id(), with.clone())]);
    for reader in topological(outputs) {
        let inputs: Vec<&Symbol> = reader
            .inputs()
            .iter()
            .map(|i| replaced.get(&i.id()).unwrap_or(i))
            .collect();
        let changed = inputs.iter().zip(reader.inputs()).any(|(new, old)| *new != old);
        if changed && reader != *node {
            let new = reader.with_inputs(&inputs)?;
            replaced.insert(reader.id(), new);
        }
    }
    Ok(outputs
        .iter()
        .map(|o| replaced.get(&o.id()).unwrap_or(o).clone())
        .collect())
}

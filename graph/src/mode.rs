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
        if let Some((new, states)) = node.op().lower(&inputs, mode, ordinal)? {
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
    let outputs = match mode {
        Mode::Train => outputs,
        Mode::Infer => fold_scales(&outputs)?,
    };
    Ok(Lowered { outputs, updates })
}

//! Reverse-mode differentiation of any directed acyclic graph (curriculum rows L18, O14, O15).

use std::collections::{HashMap, HashSet};

use crate::{GraphError, Scope, Symbol, topological};

/// New nodes that compute ∂`loss`/∂`x` for each `x` in `with_respect_to`: parameters or inputs.
///
/// Walks from the loss back, one node at a time: a node's gradient is the sum over its readers of
/// their rules ([`crate::Operation::gradient`]). A symbol that the loss does not depend on gets zeros.
///
/// ```
/// use graticule_graph::{Symbol, differentiate, interpret::evaluate};
/// // dz/dt of z = x²y − y² with x = t², y = 2t is 10t⁴ − 8t (row X27).
/// let t = Symbol::parameter("t", [], Default::default());
/// let (x, y) = (t.mul(&t)?, t.affine(2.0, 0.0)?);
/// let z = x.mul(&x)?.mul(&y)?.sub(&y.mul(&y)?)?;
/// let slope = differentiate(&z, &[t.clone()])?;
/// let at_3 = ndarray::arr0(3.0).into_dyn();
/// assert_eq!(evaluate(&slope, &[(&t, at_3)], 1)?[0][[]], 10.0 * 81.0 - 24.0);
/// # Ok::<(), graticule_graph::GraphError>(())
/// ```
///
/// # Errors
/// [`GraphError::LossNotScalar`]; [`GraphError::NoGradient`] when an op on the way has no rule.
pub fn differentiate(loss: &Symbol, with_respect_to: &[Symbol]) -> Result<Vec<Symbol>, GraphError> {
    differentiate_by(loss, with_respect_to, &|_, _, _| Ok(None))
}

/// What may stand in for an op's own gradient rule: of a node, the gradient of its result, and the position of
/// an operand, that operand's gradient; `None` where the op's own rule holds.
pub type GradientRule<'a> = &'a dyn Fn(&Symbol, &Symbol, usize) -> Result<Option<Symbol>, GraphError>;

/// As [`differentiate`], with `rule` in place of the ops' own rules wherever it gives one. What comes out is
/// no derivative then, but what some pictures of networks are made of (guided back-propagation).
///
/// ```
/// use graticule_graph::{Symbol, differentiate_by, interpret::evaluate};
/// // A rule that lets squares pass gradients as they are.
/// let x = Symbol::parameter("x", [], Default::default());
/// let y = x.mul(&x)?.mul(&x)?;
/// let pass = differentiate_by(&y, &[x.clone()], &|_, gradient, _| Ok(Some(gradient.clone())))?;
/// let at_5 = ndarray::arr0(5.0).into_dyn();
/// assert_eq!(evaluate(&pass, &[(&x, at_5)], 1)?[0][[]], 3.0);
/// # Ok::<(), graticule_graph::GraphError>(())
/// ```
///
/// # Errors
/// As [`differentiate`], and what `rule` answers.
pub fn differentiate_by(
    loss: &Symbol,
    with_respect_to: &[Symbol],
    rule: GradientRule,
) -> Result<Vec<Symbol>, GraphError> {
    if loss.shape().rank() != 0 {
        return Err(GraphError::LossNotScalar {
            found: loss.shape().to_string(),
        });
    }
    let order = topological(std::slice::from_ref(loss));
    let on_the_way = dependents(&order, with_respect_to);
    let mut gradients: HashMap<u64, Symbol> = HashMap::new();
    gradients.insert(loss.id(), Symbol::constant(1.0, []));
    for node in order.iter().rev().filter(|n| on_the_way.contains(&n.id())) {
        let Some(gradient) = gradients.get(&node.id()).cloned() else {
            continue;
        };
        // A gradient belongs to the layer whose gradient it is.
        let _layer = Scope::resume(node.scope().cloned());
        for (position, input) in node.inputs().iter().enumerate() {
            if !on_the_way.contains(&input.id()) {
                continue;
            }
            let part = match rule(node, &gradient, position)? {
                Some(part) => Some(part),
                None => node.op().gradient(node, &gradient, position)?,
            };
            if let Some(part) = part {
                let total = match gradients.remove(&input.id()) {
                    Some(sum) => sum.add(&part)?,
                    None => part,
                };
                gradients.insert(input.id(), total);
            }
        }
    }
    with_respect_to
        .iter()
        .map(|x| match gradients.get(&x.id()) {
            Some(gradient) => Ok(gradient.clone()),
            None => Symbol::constant(0.0, []).broadcast_like(x),
        })
        .collect()
}

/// The nodes of `order` whose numbers depend on one of `roots`, the roots included. An operand of
/// which only the shape is used passes nothing on.
fn dependents(order: &[Symbol], roots: &[Symbol]) -> HashSet<u64> {
    let mut found: HashSet<u64> = roots.iter().map(Symbol::id).collect();
    for node in order {
        let mut inputs = node.inputs().iter().enumerate();
        if inputs.any(|(k, i)| node.op().reads(k) && found.contains(&i.id())) {
            found.insert(node.id());
        }
    }
    found
}

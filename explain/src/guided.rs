//! Guided back-propagation and the deconvnet (row E4): other rules for the way back through a ReLU.
//!
//! Both pictures are sharp, and both say less of the class than they seem to: with ReLUs everywhere they come close to
//! a reconstruction of the picture (Nie, Zhang & Patel 2018; Adebayo et al. 2018). The deconvnet reads the picture through
//! the switches of max-pooling: where ReLUs are all else that bends, a network without them has one map for each class.

use graph::ops::{Op, PoolKind, UnaryGradient, UnaryKind};
use graph::{GraphError, Symbol};

use crate::explanation::largest;
use crate::gradient::at_inputs;
use crate::method::Question;
use crate::{ExplainError, Explanation, Subject};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Guided,
    Deconvnet,
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Self::Guided => "guided",
            Self::Deconvnet => "deconvnet",
        }
    }

    /// The gradient of a ReLU's operand, with g the gradient of its result y: `[g > 0]·g·[y > 0]`, or `[g > 0]·g`.
    pub fn gradient(self, node: &Symbol, g: &Symbol) -> Result<Option<Symbol>, GraphError> {
        let Some(kind) = rectifier(node) else {
            return Ok(None);
        };
        let positive = g.unary(UnaryKind::Relu)?;
        Ok(Some(match self {
            Self::Guided => Symbol::apply(UnaryGradient { kind }, &[&positive, node])?,
            Self::Deconvnet => positive,
        }))
    }
}

fn rectifier(node: &Symbol) -> Option<UnaryKind> {
    match node.op() {
        Op::Unary(op) if matches!(op.kind, UnaryKind::Relu | UnaryKind::Relu6) => Some(op.kind),
        _ => None,
    }
}

/// What the nodes of the network make of the map.
fn note(rule: Rule, nodes: &[Symbol]) -> Option<&'static str> {
    let switch = |n: &Symbol| matches!(n.op(), Op::Pool2d(op) if op.kind == PoolKind::Max);
    if !nodes.iter().any(|n| rectifier(n).is_some()) {
        Some("the network has no ReLU, so this is the plain gradient")
    } else if matches!(rule, Rule::Deconvnet) && !nodes.iter().any(switch) {
        Some("the network has no max-pooling, so this map is much the same for every picture of a class")
    } else {
        None
    }
}

pub(crate) fn explain(
    subject: &mut Subject,
    question: &Question,
    rule: Rule,
) -> Result<Explanation, ExplainError> {
    let (gradients, answers) = at_inputs(subject, question, rule.name(), &|node, g, _| {
        rule.gradient(node, g)
    })?;
    let note = note(rule, subject.model().nodes()).map(String::from);
    Ok(Explanation {
        scores: answers.scores,
        predictions: answers.predictions,
        map: largest(&gradients),
        attributions: Some(gradients),
        note,
        ..Explanation::of(Default::default())
    })
}

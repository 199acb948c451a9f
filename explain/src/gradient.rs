//! Gradients of the target with respect to the input: saliency (row E2) and gradient × input.

use graph::{GradientRule, Symbol, differentiate_by};
use ndarray::ArrayD;

use crate::explanation::{largest, summed};
use crate::method::Question;
use crate::target::{Answers, weights_input};
use crate::{ExplainError, Explanation, Subject};

/// ∂(Σ weights · scores)/∂`of` for a graph of its own, in which other rules may stand for the ops' own.
pub(crate) struct Slope {
    /// The gradient, in the shape of `of`.
    pub gradient: Symbol,
    /// The input that chooses the target.
    pub weights: Symbol,
}

impl Slope {
    pub fn new(
        scores: &Symbol,
        of: &Symbol,
        method: &'static str,
        rule: GradientRule,
    ) -> Result<Self, ExplainError> {
        let weights = weights_input(scores);
        let target = scores.mul(&weights)?.sum()?;
        let gradient = differentiate_by(&target, std::slice::from_ref(of), rule)?.remove(0);
        // What does not depend on the target is no gradient, but the zero of a way that does not exist.
        if !graph::topological(std::slice::from_ref(&gradient)).contains(&weights) {
            return Err(ExplainError::unsuited(
                method,
                "no gradient gets from the scores back to the input (a threshold, or indices, lie between)",
                "a network that is differentiable all the way; use occlusion, rise or permutation",
            ));
        }
        Ok(Self { gradient, weights })
    }
}

/// The ops' own rules.
pub(crate) fn plain(_: &Symbol, _: &Symbol, _: usize) -> Result<Option<Symbol>, graph::GraphError> {
    Ok(None)
}

/// The gradient at the inputs themselves, `[N, …]`, as attributions, with what the network says beside it.
pub(crate) fn at_inputs(
    subject: &mut Subject,
    question: &Question,
    method: &'static str,
    rule: GradientRule,
) -> Result<(ArrayD<f32>, Answers), ExplainError> {
    let slope = Slope::new(subject.scores(), &subject.model().input().clone(), method, rule)?;
    let mut gradients = ArrayD::zeros(question.inputs.raw_dim());
    let len = question.len();
    let all = gradients.as_slice_mut().unwrap_or_default();
    let mut answers = Answers::default();
    let outputs = [
        slope.gradient,
        subject.scores().clone(),
        subject.prediction().clone(),
    ];
    subject.each(
        &outputs,
        &[slope.weights],
        question.count(),
        |k, parts| {
            parts[0].copy_from_slice(question.sample(k));
            question.resolved.weights(k, parts[1]);
        },
        |k, row| {
            all[k * len..(k + 1) * len].copy_from_slice(row[0]);
            answers.scores.push(question.resolved.score(k, row[1]));
            answers.predictions.push(question.resolved.prediction(k, row[2]));
        },
    )?;
    Ok((gradients, answers))
}

/// Saliency, or gradient × input.
pub(crate) fn explain(
    subject: &mut Subject,
    question: &Question,
    times_input: bool,
) -> Result<Explanation, ExplainError> {
    let method = if times_input {
        "gradient-x-input"
    } else {
        "gradient"
    };
    let (mut gradients, answers) = at_inputs(subject, question, method, &plain)?;
    let map = if times_input {
        gradients *= question.inputs;
        summed(&gradients)
    } else {
        largest(&gradients)
    };
    Ok(Explanation {
        scores: answers.scores,
        predictions: answers.predictions,
        attributions: Some(gradients),
        ..Explanation::of(map)
    })
}

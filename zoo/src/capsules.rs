//! Capsules (Sabour, Frosst & Hinton, *Dynamic routing between capsules*, 2017; row L38): groups of
//! units whose length says whether a thing is there, and whose direction says how it looks.
//!
//! For 28×28×1 and ten classes:
//!
//! | layer | output | `capsnet`: parameters | `capsnet-small` |
//! |---|---|---|---|
//! | conv 9×9, ReLU | 20×20×256 (64) | 20,992 | 5,248 |
//! | conv 9×9 /2: 32 (8) maps of capsules of 8 | 1152×8 (288×8) | 5,308,672 | 331,840 |
//! | each capsule's guess for each class | 1152×10×16 (288×10×16) | 1,474,560 | 368,640 |
//! | three rounds of routing | 10×16 | 0 | 0 |
//! | lengths | 10 | 0 | 0 |
//!
//! A round takes the guesses' mean, weighted by a softmax over the classes, squashes it to a length
//! below 1, and raises the weights of the guesses that agree with it. The lengths serve as scores; the
//! paper's margin loss and its decoder are missing.

use graph::ops::{Axis, ReduceKind, Softmax, UnaryKind};
use nn::prelude::*;

use crate::blocks::within;
use crate::{Problem, image_of};

const CAPSULE: usize = 8;
const CLASS_CAPSULE: usize = 16;
const ROUNDS: usize = 3;
/// Keeps the length's derivative finite at 0.
const EPSILON: f32 = 1e-8;

/// The paper's has 256 `filters` and 32 `maps` of capsules.
pub(crate) fn outputs(x: &Symbol, outputs: usize, [filters, maps]: [usize; 2]) -> Result<Symbol, Problem> {
    image_of(x, 17)?;
    let y = Conv2d::new(filters, 9).activation(Relu).name("first").on(x)?;
    let primary = Conv2d::new(maps * CAPSULE, 9).stride(2).round_down();
    let y = primary.name("primary").on(&y)?;
    let capsules = y.reshape(&[Axis::Keep(0), Axis::Rest, Axis::Length(CAPSULE)])?;
    let guesses = guesses(&squash(&capsules)?, outputs)?;
    Ok(within("routing", || route(&guesses))?)
}

/// `[N, I, 8]` to `[N, I, classes, 16]`, each capsule with weights of its own.
fn guesses(capsules: &Symbol, classes: usize) -> Result<Symbol, GraphError> {
    let line = capsules.reshape(&[
        Axis::Keep(0),
        Axis::Keep(1),
        Axis::Length(1),
        Axis::Length(CAPSULE),
    ])?;
    let own = LocallyConnected2d::new(classes * CLASS_CAPSULE, 1).no_bias();
    let made = own.name("guesses").on(&line)?;
    made.reshape(&[
        Axis::Keep(0),
        Axis::Keep(1),
        Axis::Length(classes),
        Axis::Length(CLASS_CAPSULE),
    ])
}

/// The lengths `[N, classes]` of what the guesses `[N, I, classes, 16]` agree on.
fn route(guesses: &Symbol) -> Result<Symbol, GraphError> {
    // At first every capsule shares itself out evenly.
    let mut agreed = squash(
        &guesses
            .reduce(ReduceKind::Sum, &[1])?
            .affine(1.0 / classes(guesses), 0.0)?,
    )?;
    let mut logits: Option<Symbol> = None;
    for _ in 1..ROUNDS {
        let agreement = guesses.mul(&agreed)?.reduce(ReduceKind::Sum, &[3])?;
        let raised = match &logits {
            Some(before) => before.add(&agreement)?,
            None => agreement,
        };
        let flat = raised.reshape(&[Axis::Keep(0), Axis::Keep(1), Axis::Keep(2)])?;
        let shares = Symbol::apply(Softmax {}, &[&flat])?.reshape(&[
            Axis::Keep(0),
            Axis::Keep(1),
            Axis::Keep(2),
            Axis::Length(1),
        ])?;
        agreed = squash(&guesses.mul(&shares)?.reduce(ReduceKind::Sum, &[1])?)?;
        logits = Some(raised);
    }
    length(&agreed)?.reshape(&[Axis::Keep(0), Axis::Keep(2)])
}

fn classes(guesses: &Symbol) -> f32 {
    guesses.shape()[2] as f32
}

/// s·|s|/(1 + |s|²) along the last axis.
fn squash(s: &Symbol) -> Result<Symbol, GraphError> {
    let length = length(s)?;
    let scale = length.div(&length.mul(&length)?.affine(1.0, 1.0)?)?;
    s.mul(&scale)
}

fn length(s: &Symbol) -> Result<Symbol, GraphError> {
    let last = s.shape().rank() - 1;
    let squares = s.mul(s)?.reduce(ReduceKind::Sum, &[last])?;
    squares.affine(1.0, EPSILON)?.unary(UnaryKind::Sqrt)
}

//! Vision transformers (Dosovitskiy et al., *An image is worth 16×16 words*, 2020; row N12).
//!
//! | layer | B/16 at 224×224×3 | L/16 | H/14 |
//! |---|---|---|---|
//! | conv P×P /P: patches to tokens | 14×14×768 | 14×14×1024 | 16×16×1280 |
//! | class token, positions | 197×768 | 197×1024 | 257×1280 |
//! | blocks of attention and a dense pair | 12, 12 heads | 24, 16 heads | 32, 16 heads |
//! | layer norm, first token, dense | 1,000 | 1,000 | 1,000 |
//! | parameters | 86,567,656 | 304,326,632 | 632,045,800 |
//!
//! A block is x + attention(norm(x)), then x + dense(gelu(dense(norm(x)))) with four times the features
//! in between. Parameters carry torchvision's names. Images may have any sides that the patches divide;
//! the positions are as many as the patches.

use graph::Init;
use graph::ops::Axis;
use nn::prelude::*;

use crate::blocks::within;
use crate::{Problem, image_of};

/// What tells the members of the family apart.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    patch: usize,
    width: usize,
    blocks: usize,
    heads: usize,
}

const fn form(patch: usize, width: usize, blocks: usize, heads: usize) -> Form {
    Form {
        patch,
        width,
        blocks,
        heads,
    }
}

pub(crate) const B16: Form = form(16, 768, 12, 12);
pub(crate) const L16: Form = form(16, 1024, 24, 16);
pub(crate) const H14: Form = form(14, 1280, 32, 16);

/// Deviation of the positions at first.
const POSITION: Init = Init::Normal(0.02);

pub(crate) fn outputs(x: &Symbol, outputs: usize, form: &Form) -> Result<Symbol, Problem> {
    let Form { patch, width, .. } = *form;
    let sides = image_of(x, patch)?;
    if !sides.iter().all(|side| side.is_multiple_of(patch)) {
        return Err(Problem::Input {
            expected: format!("images whose sides are multiples of {patch}"),
            remedy: "crop, pad or resize them".into(),
        });
    }
    let mut y = tokens(x, patch, width)?;
    for block in 0..form.blocks {
        y = within(&format!("encoder.layers.encoder_layer_{block}"), || {
            transform(&y, form.heads)
        })?;
    }
    let y = norm("encoder.ln").on(&y)?;
    let first = Slice::new(1, 0..1).on(&y)?;
    Ok(Dense::new(outputs).name("heads.head").on(&Flatten.on(&first)?)?)
}

/// The class token and one token for each patch, each with what is learned for its place.
fn tokens(x: &Symbol, patch: usize, width: usize) -> Result<Symbol, GraphError> {
    let class = Symbol::parameter("class_token", [1, 1, width], Init::Constant(0.0));
    let conv = Conv2d::new(width, patch).stride(patch).name("conv_proj");
    let patches = conv.on(x)?;
    let patches = patches.reshape(&[Axis::Keep(0), Axis::Rest, Axis::Keep(3)])?;
    let class = class.broadcast_like(&Slice::new(1, 0..1).on(&patches)?)?;
    let tokens = Concat::new().axis(1).on(&[&class, &patches])?;
    let places = [1, tokens.shape()[1], width];
    within("encoder", || {
        tokens.add(&Symbol::parameter("pos_embedding", places, POSITION))
    })
}

fn transform(x: &Symbol, heads: usize) -> Result<Symbol, GraphError> {
    let attention = MultiHeadAttention::new(heads).name("self_attention");
    let x = Add.on(&[x, &attention.on(&norm("ln_1").on(x)?)?])?;
    let width = x.shape().last_axis();
    let wide = Dense::new(4 * width).activation(Gelu).name("mlp.0");
    let y = wide.on(&norm("ln_2").on(&x)?)?;
    Add.on(&[&x, &Dense::new(width).name("mlp.3").on(&y)?])
}

fn norm(name: &str) -> LayerNorm {
    LayerNorm::new().epsilon(1e-6).name(name)
}

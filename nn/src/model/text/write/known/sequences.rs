//! Layers of sequences: attention, transformers, recurrent layers.

use graph::Symbol;
use graph::ops::{Op, UnaryKind};

use super::{Activation, Guess, Raw, activation_of};

/// The guesses for a scope of this kind, if it is a kind of these.
pub(super) fn guesses(nodes: &[&Symbol], kind: &str) -> Option<Vec<Guess>> {
    Some(match kind {
        "multi_head_attention" => heads(nodes)
            .map(|n| Guess::new("attention").count("heads", n))
            .into_iter()
            .collect(),
        "transformer_encoder" => transformer(nodes).unwrap_or_default(),
        "positional_encoding" => {
            let learned = nodes.iter().any(|n| n.as_parameter().is_some());
            let guess = Guess::new("positions");
            match learned {
                true => vec![guess.switch("learned", true)],
                false => vec![guess],
            }
        }
        "rnn" => recurrent("rnn", nodes),
        "lstm" => recurrent("lstm", nodes),
        "gru" => recurrent("gru", nodes),
        _ => return None,
    })
}

/// The number of heads, from the scores `[N, heads, T, T]`.
fn heads(nodes: &[&Symbol]) -> Option<usize> {
    let scores = nodes.iter().find(|n| matches!(n.op(), Op::Softmax(_)))?;
    scores.shape().get(1).copied()
}

fn transformer(nodes: &[&Symbol]) -> Option<Vec<Guess>> {
    let width = nodes.last()?.shape().last_axis();
    let wide = nodes.iter().find(|n| {
        let named = |s: &std::sync::Arc<graph::Scope>| s.name.as_deref() == Some("linear1");
        n.scope().is_some_and(named) && n.as_parameter().is_some()
    })?;
    let mut guess = Guess::new("transformer").count("heads", heads(nodes)?);
    let hidden = wide.shape().last_axis();
    if hidden != 4 * width {
        guess = guess.count("hidden", hidden);
    }
    let rate = nodes.iter().find_map(|n| match n.op() {
        Op::Dropout(op) => Some(op.rate),
        _ => None,
    });
    guess = guess.unless("dropout", rate.unwrap_or(0.0), 0.0);
    let bend = nodes.iter().find_map(|n| match n.op() {
        Op::Unary(op) if op.kind != UnaryKind::Relu => activation_of(op.kind),
        _ => None,
    });
    if let Some(bend) = bend.filter(|&a| a != Activation::Relu) {
        guess = guess.with("activation", Raw::Word(bend.to_string()));
    }
    Some(switched(vec![guess], &["prenorm", "causal"]))
}

fn recurrent(kind: &'static str, nodes: &[&Symbol]) -> Vec<Guess> {
    let of_state: Vec<&str> = nodes
        .iter()
        .filter_map(|n| Some(n.as_parameter()?.role.as_str()))
        .filter(|role| role.starts_with("weight_hh"))
        .collect();
    let units = nodes.iter().find_map(|n| {
        let parameter = n.as_parameter()?;
        parameter
            .role
            .starts_with("weight_hh")
            .then(|| parameter.shape.first().copied())?
    });
    let Some(units) = units else { return Vec::new() };
    let both = of_state.iter().any(|role| role.ends_with("_reverse"));
    let layers = of_state.len() / if both { 2 } else { 1 };
    let mut guess = Guess::new(kind).count("units", units);
    if layers > 1 {
        guess = guess.count("layers", layers);
    }
    if both {
        guess = guess.switch("bidirectional", true);
    }
    let words: &[&str] = if both {
        &["sequence"]
    } else {
        &["reversed", "sequence"]
    };
    switched(vec![guess], words)
}

/// Each guess without and with each of these words.
fn switched(guesses: Vec<Guess>, words: &[&'static str]) -> Vec<Guess> {
    words.iter().fold(guesses, |all, word| {
        let with: Vec<Guess> = all.iter().map(|g| g.clone().switch(word, true)).collect();
        all.into_iter().chain(with).collect()
    })
}

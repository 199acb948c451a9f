//! Cases of ops along channels: normalisations, softmax, cross-entropy, embedding, dropout.

use graticule_graph::ops::{
    BatchNorm, CrossEntropy, CrossEntropyTargets, Dropout, Gather, GatherGradient, LayerNorm,
    LocalResponseNorm, LogSoftmax, LogSoftmaxGradient, Softmax, SoftmaxGradient,
};
use graticule_graph::{Mode, Symbol};

use super::Table;

pub fn add(table: &mut Table) {
    batch_norms(table);
    other_norms(table);
    softmaxes(table);
    losses(table);
    embeddings(table);
    dropouts(table);
}

fn batch_norms(t: &mut Table) {
    for (mode, frozen) in [(Mode::Train, false), (Mode::Train, true), (Mode::Infer, false)] {
        for sample in [&[2, 3, 5][..], &[4]] {
            t.case_in(mode, "batch_norm", |l| {
                let c = sample[sample.len() - 1];
                let norm = BatchNorm {
                    epsilon: 1e-3,
                    momentum: 0.1,
                    frozen,
                };
                let (x, gamma, beta) = (l.x(sample), l.p(&[c]), l.p(&[c]));
                let (mean, variance) = (l.state(&[c], -1.0, 1.0), l.state(&[c], 0.5, 2.0));
                Symbol::apply(norm, &[&x, &gamma, &beta, &mean, &variance])
            });
        }
    }
}

fn other_norms(t: &mut Table) {
    for sample in [&[7][..], &[2, 3, 5]] {
        t.case("layer_norm", |l| {
            let c = sample[sample.len() - 1];
            let (x, gamma, beta) = (l.x(sample), l.p(&[c]), l.p(&[c]));
            Symbol::apply(LayerNorm { epsilon: 1e-5 }, &[&x, &gamma, &beta])
        });
    }
    for size in [1, 2, 5] {
        let norm = LocalResponseNorm {
            size,
            alpha: 0.8,
            beta: 0.75,
            k: 2.0,
        };
        t.case("local_response_norm", |l| {
            Symbol::apply(norm, &[&l.x(&[2, 3, 7])])
        });
    }
}

fn softmaxes(t: &mut Table) {
    t.case("softmax", |l| Symbol::apply(Softmax {}, &[&l.x(&[2, 5])]));
    t.case("log_softmax", |l| Symbol::apply(LogSoftmax {}, &[&l.x(&[5])]));
    t.case("softmax_gradient", |l| {
        Symbol::apply(SoftmaxGradient {}, &[&l.x(&[5]), &l.x_in(&[5], 0.1, 0.5)])
    });
    t.case("log_softmax_gradient", |l| {
        Symbol::apply(LogSoftmaxGradient {}, &[&l.x(&[5]), &l.x_in(&[5], -2.0, 0.0)])
    });
}

fn losses(t: &mut Table) {
    for (label_smoothing, ignore_index) in [(0.0, None), (0.1, Some(2)), (0.0, Some(-100))] {
        for sample in [&[4][..], &[4, 1], &[]] {
            t.case("cross_entropy of indices", |l| {
                let logits = l.x(if sample.is_empty() { &[5] } else { &[4, 5] });
                let labels = l.fixed(sample, |i| (i * 7 % 5) as f64);
                let weights = l.state(&[5], 0.5, 2.0);
                let loss = CrossEntropy {
                    label_smoothing,
                    ignore_index,
                    targets: CrossEntropyTargets::Indices,
                };
                Symbol::apply(loss, &[&logits, &labels, &weights])
            });
        }
        t.case("cross_entropy of probabilities", |l| {
            let (logits, weights) = (l.x(&[4, 5]), l.state(&[5], 0.5, 2.0));
            let targets = l.fixed(&[4, 5], |i| (i % 4) as f64 / 6.0);
            let loss = CrossEntropy {
                label_smoothing,
                ignore_index: None,
                targets: CrossEntropyTargets::Probabilities,
            };
            Symbol::apply(loss, &[&logits, &targets, &weights])
        });
    }
}

fn embeddings(t: &mut Table) {
    for sample in [&[][..], &[4], &[2, 3]] {
        t.case("gather", |l| {
            let indices = l.fixed(sample, |i| (i * 3 % 5) as f64);
            Symbol::apply(Gather {}, &[&indices, &l.p(&[5, 3])])
        });
        t.case("gather_gradient", |l| {
            let indices = l.fixed(sample, |i| (i * 3 % 5) as f64);
            let (g, like) = (l.x(&[sample, &[2]].concat()), l.state(&[5, 2], 0.0, 1.0));
            Symbol::apply(GatherGradient {}, &[&g, &indices, &like])
        });
    }
}

fn dropouts(t: &mut Table) {
    for (mode, rate) in [
        (Mode::Train, 0.4),
        (Mode::Infer, 0.4),
        (Mode::Train, 0.0),
        (Mode::Train, 1.0),
    ] {
        t.case_in(mode, "dropout", |l| {
            let x = l.x(&[4, 5]);
            Symbol::apply(Dropout { rate }, &[&x])?.add(&x)
        });
    }
}

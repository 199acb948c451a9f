//! The table of the registry test: at least one small network per op, with odd sizes.

mod images;
mod plain;
mod rows;
mod sequences;

use graticule_graph::ndarray::{ArrayD, IxDyn};
use graticule_graph::{Binding, GraphError, Mode, Symbol, lower};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Samples in a batch. The graphs are built for one and bound to this many.
pub const BATCH: usize = 3;

pub type Built = Result<Symbol, GraphError>;

/// One network: an output and the leaves it is a function of.
pub struct Case {
    pub name: &'static str,
    /// As the user builds it.
    pub written: Symbol,
    /// Lowered for `mode`.
    pub output: Symbol,
    pub updates: Vec<(Symbol, Symbol)>,
    /// Every leaf with its value.
    pub given: Vec<(Symbol, ArrayD<f64>)>,
    /// The leaves that are differentiated.
    pub varied: Vec<Symbol>,
}

/// Makes leaves and remembers their values.
pub struct Leaves {
    random: ChaCha8Rng,
    given: Vec<(Symbol, ArrayD<f64>)>,
    varied: Vec<Symbol>,
}

impl Leaves {
    fn value(&mut self, shape: &[usize], low: f64, high: f64) -> ArrayD<f64> {
        ArrayD::from_shape_fn(IxDyn(shape), |_| self.random.random_range(low..high))
    }

    fn give(&mut self, symbol: Symbol, value: ArrayD<f64>, varied: bool) -> Symbol {
        self.given.push((symbol.clone(), value));
        if varied {
            self.varied.push(symbol.clone());
        }
        symbol
    }

    /// A batched input in (−1.5, 1.5).
    pub fn x(&mut self, sample: &[usize]) -> Symbol {
        self.x_in(sample, -1.5, 1.5)
    }

    /// A batched input in (low, high).
    pub fn x_in(&mut self, sample: &[usize], low: f64, high: f64) -> Symbol {
        let value = self.value(&[&[BATCH], sample].concat(), low, high);
        self.give(Symbol::input("x", sample.to_vec()), value, true)
    }

    /// A batched input that is not differentiated.
    pub fn fixed(&mut self, sample: &[usize], values: impl Fn(usize) -> f64) -> Symbol {
        let shape = [&[BATCH], sample].concat();
        let count = shape.iter().product();
        let value = ArrayD::from_shape_vec(IxDyn(&shape), (0..count).map(values).collect()).unwrap();
        self.give(Symbol::input("fixed", sample.to_vec()), value, false)
    }

    /// A parameter in (−1, 1).
    pub fn p(&mut self, shape: &[usize]) -> Symbol {
        self.p_in(shape, -1.0, 1.0)
    }

    /// A parameter in (low, high).
    pub fn p_in(&mut self, shape: &[usize], low: f64, high: f64) -> Symbol {
        let value = self.value(shape, low, high);
        self.give(
            Symbol::parameter("p", shape.to_vec(), Default::default()),
            value,
            true,
        )
    }

    /// A state in (low, high), not differentiated.
    pub fn state(&mut self, shape: &[usize], low: f64, high: f64) -> Symbol {
        let value = self.value(shape, low, high);
        self.give(
            Symbol::state("s", shape.to_vec(), Default::default()),
            value,
            false,
        )
    }
}

/// The growing table.
pub struct Table(Vec<Case>);

impl Table {
    /// Adds a network, lowered for training.
    pub fn case(&mut self, name: &'static str, build: impl FnOnce(&mut Leaves) -> Built) {
        self.case_in(Mode::Train, name, build);
    }

    /// Adds a network, lowered for `mode`.
    pub fn case_in(&mut self, mode: Mode, name: &'static str, build: impl FnOnce(&mut Leaves) -> Built) {
        let mut leaves = Leaves {
            random: ChaCha8Rng::seed_from_u64(self.0.len() as u64),
            given: Vec::new(),
            varied: Vec::new(),
        };
        let written = build(&mut leaves).unwrap_or_else(|e| panic!("{name}: {e}"));
        let lowered = lower(std::slice::from_ref(&written), mode).unwrap();
        self.0.push(Case {
            name,
            written,
            output: lowered.outputs[0].clone(),
            updates: lowered.updates,
            given: leaves.given,
            varied: leaves.varied,
        });
    }
}

/// Every case.
pub fn table() -> Vec<Case> {
    let mut table = Table(Vec::new());
    plain::add(&mut table);
    images::add(&mut table);
    rows::add(&mut table);
    sequences::add(&mut table);
    table.0
}

impl Case {
    /// Σ output · w with fixed random w, so that every element of the output counts differently.
    pub fn loss(&self) -> (Symbol, Vec<(Symbol, ArrayD<f64>)>) {
        let nodes = graticule_graph::topological(std::slice::from_ref(&self.output));
        let shapes = Binding::batch(BATCH).shapes(&nodes).unwrap();
        let shape = shapes[&self.output.id()].to_vec();
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let value = ArrayD::from_shape_fn(IxDyn(&shape), |_| random.random_range(-1.0..1.0));
        let weights = Symbol::parameter("loss_weights", shape, Default::default());
        let loss = self.output.mul(&weights).and_then(|y| y.sum()).unwrap();
        let mut given = self.given.clone();
        given.push((weights, value));
        (loss, given)
    }
}

//! Chains: several element-wise ops, and perhaps a sum at their end, that become one pass over memory.

use graph::Shape;
use graph::ops::{Affine, BinaryKind, Cost, UnaryKind};

/// Where a link takes its numbers from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An operand of the chain.
    Operand(usize),
    /// An earlier link.
    Link(usize),
}

/// One op of a chain. Its result has the shape of the chain's domain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Link {
    Binary(BinaryKind, Source, Source),
    Unary(UnaryKind, Source),
    /// The gradient times the function's slope.
    Slope(UnaryKind, Source, Source),
    Affine(Affine, Source),
    /// Batch norm of a source; the operands are moments, gamma and beta.
    Normalize {
        epsilon: f32,
        x: Source,
        vectors: [usize; 3],
        then: Then,
    },
    /// Batch norm's gradient with respect to x; the operands are moments, gamma and the sums.
    InputGradient {
        epsilon: f32,
        g: Source,
        x: Source,
        vectors: [usize; 3],
    },
}

/// What follows batch norm in the same loop ([`Chain::joined`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Nothing,
    Relu,
    /// A gradient times the slope of a ReLU there.
    Slope(Source),
}

/// What becomes of the numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    /// The source is the result.
    Store(Source),
    /// `scale` times the sum over all rows (one number a channel), or over everything.
    Sum { of: Source, channels: bool, scale: f32 },
    /// Batch norm's (Σ g, Σ g·x̂); the operand is the moments.
    NormalizeSums {
        epsilon: f32,
        g: Source,
        x: Source,
        moments: usize,
    },
}

/// How an operand lies along the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One number for each element.
    Full,
    /// One number for each channel, the last axis.
    Channels,
    /// One number.
    One,
    /// A vector that a link or the end reads in its own way.
    Whole,
    /// Not read: it says only that the chain runs after it.
    After,
}

/// An operand, which begins `offset` elements into the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainOperand {
    pub form: Form,
    pub offset: usize,
}

/// Links in their order, each reading operands and earlier links.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    pub links: Vec<Link>,
    pub operands: Vec<ChainOperand>,
    pub end: End,
    /// The shape over which it runs.
    pub domain: Shape,
    /// Arithmetic of all that was put together.
    pub cost: Cost,
}

/// Operands that a chain may have, and links.
const MOST_OPERANDS: usize = 16;
const MOST_LINKS: usize = 24;

impl Link {
    /// The link with sources and operands replaced.
    fn mapped(self, source: impl Fn(Source) -> Source, operand: impl Fn(usize) -> usize) -> Self {
        match self {
            Self::Binary(kind, a, b) => Self::Binary(kind, source(a), source(b)),
            Self::Unary(kind, x) => Self::Unary(kind, source(x)),
            Self::Slope(kind, g, v) => Self::Slope(kind, source(g), source(v)),
            Self::Affine(affine, x) => Self::Affine(affine, source(x)),
            Self::Normalize {
                epsilon,
                x,
                vectors,
                then,
            } => Self::Normalize {
                epsilon,
                x: source(x),
                vectors: vectors.map(operand),
                then: match then {
                    Then::Slope(g) => Then::Slope(source(g)),
                    other => other,
                },
            },
            Self::InputGradient {
                epsilon,
                g,
                x,
                vectors,
            } => Self::InputGradient {
                epsilon,
                g: source(g),
                x: source(x),
                vectors: vectors.map(operand),
            },
        }
    }

    /// What it reads element by element.
    pub(crate) fn sources(self) -> [Option<Source>; 2] {
        match self {
            Self::Binary(_, a, b) | Self::Slope(_, a, b) => [Some(a), Some(b)],
            Self::Normalize {
                x,
                then: Then::Slope(g),
                ..
            } => [Some(g), Some(x)],
            Self::Unary(_, x) | Self::Affine(_, x) | Self::Normalize { x, .. } => [Some(x), None],
            Self::InputGradient { g, x, .. } => [Some(g), Some(x)],
        }
    }
}

impl End {
    fn mapped(self, source: impl Fn(Source) -> Source, operand: impl Fn(usize) -> usize) -> Self {
        match self {
            Self::Store(of) => Self::Store(source(of)),
            Self::Sum { of, channels, scale } => Self::Sum {
                of: source(of),
                channels,
                scale,
            },
            Self::NormalizeSums {
                epsilon,
                g,
                x,
                moments,
            } => Self::NormalizeSums {
                epsilon,
                g: source(g),
                x: source(x),
                moments: operand(moments),
            },
        }
    }

    /// What it reads element by element.
    pub(crate) fn sources(self) -> [Option<Source>; 2] {
        match self {
            Self::Store(of) | Self::Sum { of, .. } => [Some(of), None],
            Self::NormalizeSums { g, x, .. } => [Some(g), Some(x)],
        }
    }
}

/// A chain and the nodes that are its operands.
#[derive(Debug, Clone)]
pub(crate) struct Linked {
    pub chain: Chain,
    pub inputs: Vec<usize>,
}

impl Linked {
    /// The place of an operand among the chain's, which is taken twice only where its form differs.
    pub(crate) fn operand(&mut self, input: usize, operand: ChainOperand) -> usize {
        let known = self.inputs.iter().zip(&self.chain.operands);
        if let Some(at) = known.clone().position(|(i, o)| (*i, *o) == (input, operand)) {
            return at;
        }
        self.inputs.push(input);
        self.chain.operands.push(operand);
        self.inputs.len() - 1
    }

    /// This chain with operand `at` replaced by the chain that computes it; `None` if it grows too long.
    pub(crate) fn with(&self, at: usize, producer: &Linked) -> Option<Linked> {
        let mut whole = Linked {
            chain: Chain {
                links: Vec::new(),
                operands: Vec::new(),
                end: self.chain.end,
                domain: self.chain.domain.clone(),
                cost: add(self.chain.cost, producer.chain.cost),
            },
            inputs: Vec::new(),
        };
        whole.take(producer, None);
        let End::Store(made) = whole.chain.end else {
            return None;
        };
        whole.take(self, Some((at, made)));
        let fits = whole.inputs.len() <= MOST_OPERANDS && whole.chain.links.len() <= MOST_LINKS;
        fits.then_some(whole)
    }

    /// Appends another chain's links and takes its end; `known` is an operand of it that is here already.
    fn take(&mut self, other: &Linked, known: Option<(usize, Source)>) {
        let given = other.inputs.iter().zip(&other.chain.operands).enumerate();
        let places: Vec<Source> = given
            .map(|(k, (&input, &operand))| match known {
                Some((at, source)) if at == k => source,
                _ => Source::Operand(self.operand(input, operand)),
            })
            .collect();
        let place = |k: usize| match places[k] {
            Source::Operand(k) => k,
            // A vector that a link reads as a whole is never a link's result.
            Source::Link(_) => usize::MAX,
        };
        let mut made: Vec<Source> = Vec::new();
        for link in &other.chain.links {
            let source = |s: Source| match s {
                Source::Operand(k) => places[k],
                Source::Link(k) => made[k],
            };
            let link = link.mapped(source, place);
            let links = &mut self.chain.links;
            let at = links.iter().position(|l| *l == link).unwrap_or(links.len());
            if at == links.len() {
                links.push(link);
            }
            made.push(Source::Link(at));
        }
        let source = |s: Source| match s {
            Source::Operand(k) => places[k],
            Source::Link(k) => made[k],
        };
        self.chain.end = other.chain.end.mapped(source, place);
    }
}

fn add(a: Cost, b: Cost) -> Cost {
    Cost {
        macs: a.macs + b.macs,
        flops: a.flops + b.flops,
    }
}

impl Chain {
    /// The same with batch norm and the ReLU behind it, or the ReLU's slope, in one link.
    pub(crate) fn joined(&self) -> Chain {
        let mut chain = self.clone();
        let mut at = 0;
        while at < chain.links.len() {
            match chain.joins(at) {
                Some((before, link)) => chain.replace(before, at, link),
                None => at += 1,
            }
        }
        chain
    }

    /// The batch norm that link `at` alone reads, and what stands for both.
    fn joins(&self, at: usize) -> Option<(usize, Link)> {
        let (before, follows) = match self.links[at] {
            Link::Unary(UnaryKind::Relu, Source::Link(before)) => (before, Then::Relu),
            Link::Slope(UnaryKind::Relu, g, Source::Link(before)) => (before, Then::Slope(g)),
            _ => return None,
        };
        let sources = self.links.iter().map(|link| link.sources());
        let read = sources.chain([self.end.sources()]).flatten().flatten();
        let readers = read.filter(|&source| source == Source::Link(before)).count();
        match self.links[before] {
            Link::Normalize {
                epsilon,
                x,
                vectors,
                then: Then::Nothing,
            } if readers == 1 => Some((
                before,
                Link::Normalize {
                    epsilon,
                    x,
                    vectors,
                    then: follows,
                },
            )),
            _ => None,
        }
    }

    /// Puts `link` in the place of link `at` and takes link `before` away.
    fn replace(&mut self, before: usize, at: usize, link: Link) {
        self.links[at] = link;
        self.links.remove(before);
        let source = |source: Source| match source {
            Source::Link(k) if k > before => Source::Link(k - 1),
            other => other,
        };
        self.links
            .iter_mut()
            .for_each(|link| *link = link.mapped(source, |k| k));
        self.end = self.end.mapped(source, |k| k);
    }

    /// A name for reports.
    pub(crate) fn name(&self) -> &'static str {
        let has = |f: fn(&Link) -> bool| self.links.iter().any(f);
        match self.end {
            End::Sum { .. } => "sum",
            End::NormalizeSums { .. } => "normalize_sums",
            End::Store(_) if has(|l| matches!(l, Link::InputGradient { .. })) => "normalize_input_gradient",
            End::Store(_) if has(|l| matches!(l, Link::Normalize { .. })) => "normalize",
            End::Store(_) => "elementwise",
        }
    }
}

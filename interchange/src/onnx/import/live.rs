//! Values that are computed when the network runs, and the order in which their axes are held.
//!
//! The file speaks of axes in its own order, `[N, C, H, W]` for images; Graticule's convolutions want
//! `[N, H, W, C]`. A [`Live`] value remembers which axis of its symbol is which axis of the file. A
//! transpose of the file is then only another way to count axes, element-wise ops take over the order of
//! their operand, and numbers are moved only where an op needs an order that the value does not have.
//! A convolutional network thus has no transpose inside, whichever order its file has.

use graph::ops::{Axis, Reshape, Target, Transpose};
use graph::{GraphError, Symbol};

use super::super::error::Trouble;
use super::super::proto::DataType;

/// A value of the running network.
#[derive(Debug, Clone)]
pub struct Live {
    /// The node that computes it.
    pub symbol: Symbol,
    /// Axis s of the symbol is axis `order[s]` of the file.
    pub order: Vec<usize>,
    /// Which axis of the file counts samples: its length is that at a batch of one, times the batch.
    pub batch: Option<usize>,
    /// The element type that the file gives it; all are computed as f32.
    pub kind: DataType,
}

/// 0, 1, … `rank` − 1.
pub fn identity(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

/// `[0, 2, …, 1]`: channels last.
pub fn channels_last(rank: usize) -> Vec<usize> {
    let mut order = vec![0];
    order.extend(2..rank);
    order.push(1);
    order
}

impl Live {
    /// A value held in the order of the file, that no batch multiplies.
    pub fn plain(symbol: Symbol, kind: DataType) -> Self {
        let order = identity(symbol.shape().rank());
        Self {
            symbol,
            order,
            batch: None,
            kind,
        }
    }

    /// How many axes it has.
    pub fn rank(&self) -> usize {
        self.order.len()
    }

    /// Its shape in the file's order, for a batch of one.
    pub fn shape(&self) -> Vec<usize> {
        let mut shape = vec![0; self.rank()];
        for (s, &axis) in self.order.iter().enumerate() {
            shape[axis] = self.symbol.shape()[s];
        }
        shape
    }

    /// The symbol's axis that is the file's `axis`.
    pub fn place(&self, axis: usize) -> usize {
        self.order.iter().position(|&a| a == axis).unwrap_or(0)
    }

    /// The same axes with other numbers: what an element-wise op makes of it.
    pub fn with(&self, symbol: Symbol) -> Self {
        Self {
            symbol,
            ..self.clone()
        }
    }

    /// The same with another element type.
    pub fn of_kind(mut self, kind: DataType) -> Self {
        self.kind = kind;
        self
    }

    /// Held in this order; numbers move only if the order differs.
    pub fn arranged(&self, order: &[usize]) -> Result<Live, GraphError> {
        if self.order == order {
            return Ok(self.clone());
        }
        let from: Vec<usize> = order.iter().map(|&axis| self.place(axis)).collect();
        let shape = self.shape();
        let long = |axis: &&usize| shape[**axis] != 1 || self.batch == Some(**axis);
        // Axes of length 1 stand anywhere.
        let symbol = if self.order.iter().filter(long).eq(order.iter().filter(long)) {
            reshape(&self.symbol, order, &shape, self.batch)?
        } else {
            Symbol::apply(Transpose { order: from }, &[&self.symbol])?
        };
        Ok(Live {
            symbol,
            order: order.to_vec(),
            ..self.clone()
        })
    }

    /// Held in the file's order.
    pub fn in_order(&self) -> Result<Live, GraphError> {
        self.arranged(&identity(self.rank()))
    }

    /// With `axis` of the file as the last one of the symbol.
    pub fn with_last(&self, axis: usize) -> Result<Live, GraphError> {
        if self.order.last() == Some(&axis) {
            return Ok(self.clone());
        }
        let mut order: Vec<usize> = self.order.iter().copied().filter(|&a| a != axis).collect();
        order.push(axis);
        self.arranged(&order)
    }

    /// Axis i of the result is axis `order[i]` of this one; no number moves.
    pub fn transposed(&self, order: &[usize]) -> Live {
        let new = |old: usize| order.iter().position(|&a| a == old).unwrap_or(0);
        Live {
            order: self.order.iter().map(|&a| new(a)).collect(),
            batch: self.batch.map(new),
            ..self.clone()
        }
    }

    /// With axes of length 1 put in, so that they stand at these places of the result.
    pub fn unsqueezed(&self, axes: &[usize]) -> Result<Live, Trouble> {
        let rank = self.rank() + axes.len();
        let kept: Vec<usize> = (0..rank).filter(|a| !axes.contains(a)).collect();
        let (old, mut shape) = (self.shape(), vec![1; rank]);
        kept.iter().zip(&old).for_each(|(&a, &length)| shape[a] = length);
        let batch = self.batch.map(|b| kept[b]);
        let held: Vec<usize> = self.order.iter().map(|&a| kept[a]).collect();
        self.renamed(&shape, with_ones(held, rank), batch)
    }

    /// Without these axes, which have length 1.
    pub fn squeezed(&self, axes: &[usize]) -> Result<Live, Trouble> {
        let old = self.shape();
        if let Some(&axis) = axes.iter().find(|&&a| old[a] != 1 || self.batch == Some(a)) {
            let what = if self.batch == Some(axis) {
                "the batch axis"
            } else {
                "an axis"
            };
            let message = format!(
                "{what} {axis} of {old:?} is to be taken away, which only an axis of length 1 can be"
            );
            return Err(Trouble::Malformed(message));
        }
        let kept: Vec<usize> = (0..self.rank()).filter(|a| !axes.contains(a)).collect();
        let new = |old: usize| kept.iter().position(|&a| a == old);
        let shape: Vec<usize> = kept.iter().map(|&a| old[a]).collect();
        let order = self.order.iter().filter_map(|&a| new(a)).collect();
        self.renamed(&shape, order, self.batch.and_then(new))
    }

    fn renamed(&self, shape: &[usize], order: Vec<usize>, batch: Option<usize>) -> Result<Live, Trouble> {
        Ok(Live {
            symbol: reshape(&self.symbol, &order, shape, batch)?,
            order,
            batch,
            kind: self.kind,
        })
    }

    /// The same elements, row-major in the file's order, under another shape.
    ///
    /// # Errors
    /// When the batch would not be an axis of the result.
    pub fn reshaped(&self, shape: &[usize]) -> Result<Live, Trouble> {
        let old = self.shape();
        if old == shape {
            return Ok(self.clone());
        }
        let batch = match self.batch {
            None => None,
            Some(axis) => Some(batch_of(&old, axis, shape).ok_or_else(|| {
                Trouble::unsupported(format!(
                    "a reshape of {old:?} to {shape:?} that splits the batch axis {axis}"
                ))
            })?),
        };
        self.reshaped_to(shape, batch)
    }

    /// The same elements under another shape, whose axis `batch` the samples go to: as many elements stand before it as
    /// before the batch axis of this one.
    pub fn reshaped_to(&self, shape: &[usize], batch: Option<usize>) -> Result<Live, Trouble> {
        let old = self.shape();
        if old == shape && batch == self.batch {
            return Ok(self.clone());
        }
        let groups = groups(&old, self.batch, shape, batch);
        let held = |axes: &[usize]| -> Option<usize> {
            let places: Vec<usize> = axes.iter().map(|&a| self.rank_among_long(a)).collect();
            places
                .windows(2)
                .all(|p| p[0] + 1 == p[1])
                .then_some(*places.first()?)
        };
        let mut placed = Vec::new();
        for (from, to) in &groups {
            match held(from) {
                Some(place) => placed.push((place, to)),
                // The elements of a group do not lie in its order: all are brought into it first.
                None => return self.in_order()?.reshaped_to(shape, batch),
            }
        }
        placed.sort_by_key(|(place, _)| *place);
        let order: Vec<usize> = placed
            .into_iter()
            .flat_map(|(_, to)| to.iter().copied())
            .collect();
        self.renamed(shape, with_ones(order, shape.len()), batch)
    }

    /// The place of a file's axis among the symbol's axes that are longer than 1.
    fn rank_among_long(&self, axis: usize) -> usize {
        let shape = self.shape();
        let long = self
            .order
            .iter()
            .filter(|&&a| shape[a] != 1 || self.batch == Some(a));
        long.take_while(|&&a| a != axis).count()
    }
}

/// `order` and the axes that it lacks, which have length 1: each behind the axis before it.
fn with_ones(mut order: Vec<usize>, rank: usize) -> Vec<usize> {
    for axis in 0..rank {
        if !order.contains(&axis) {
            let before = axis
                .checked_sub(1)
                .and_then(|b| order.iter().position(|&a| a == b));
            order.insert(before.map_or(0, |b| b + 1), axis);
        }
    }
    order
}

/// `symbol` with axes of these lengths (in the file's order), held in `order`.
fn reshape(
    symbol: &Symbol,
    order: &[usize],
    shape: &[usize],
    batch: Option<usize>,
) -> Result<Symbol, GraphError> {
    let lengths: Vec<usize> = order.iter().map(|&a| shape[a]).collect();
    if symbol.shape()[..] == lengths[..] && batch.is_none() {
        return Ok(symbol.clone());
    }
    let axis = |&a: &usize| match batch == Some(a) {
        true => Axis::Rest,
        false => Axis::Length(shape[a]),
    };
    let to = Target::Axes(order.iter().map(axis).collect());
    Symbol::apply(Reshape { to }, &[symbol])
}

/// The axis of `new` that the samples of axis `batch` of `old` go to: as many elements stand before it.
fn batch_of(old: &[usize], batch: usize, new: &[usize]) -> Option<usize> {
    let before = |shape: &[usize], axis: usize| shape[..axis].iter().product::<usize>();
    let outside = before(old, batch);
    (0..new.len()).find(|&axis| before(new, axis) == outside)
}

/// Runs of axes longer than 1 on both sides that hold the same elements.
fn groups(
    old: &[usize],
    old_batch: Option<usize>,
    new: &[usize],
    new_batch: Option<usize>,
) -> Vec<(Vec<usize>, Vec<usize>)> {
    // The batch takes part as a length that nothing else divides.
    const SAMPLES: u128 = 1_000_000_007;
    let long = |shape: &[usize], batch: Option<usize>| -> Vec<(usize, u128)> {
        let length = |(axis, &l): (usize, &usize)| {
            let samples = if batch == Some(axis) { SAMPLES } else { 1 };
            (axis, l as u128 * samples)
        };
        shape
            .iter()
            .enumerate()
            .map(length)
            .filter(|(_, l)| *l != 1)
            .collect()
    };
    let (old, new) = (long(old, old_batch), long(new, new_batch));
    let (mut i, mut j, mut groups) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        let (mut from, mut to) = (vec![old[i].0], vec![new[j].0]);
        let (mut a, mut b) = (old[i].1, new[j].1);
        (i, j) = (i + 1, j + 1);
        while a != b {
            if a < b && i < old.len() {
                a = a.saturating_mul(old[i].1);
                from.push(old[i].0);
                i += 1;
            } else if b < a && j < new.len() {
                b = b.saturating_mul(new[j].1);
                to.push(new[j].0);
                j += 1;
            } else {
                break;
            }
        }
        groups.push((from, to));
    }
    groups
}

#[cfg(test)]
mod tests;

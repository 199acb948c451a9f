//! What is asked about: an output of the network, and for segmenters a place in its picture.

use graph::Symbol;
use ndarray::ArrayD;

use crate::{ExplainError, Reading, Subject};

/// Which output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Which {
    /// For each sample the class that the network says, or the one number that it gives.
    #[default]
    Predicted,
    /// This class or number, for all samples.
    Output(usize),
    /// One for each sample.
    Each(Vec<usize>),
}

/// Where, in an output that is a picture `[H, W, K]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// The mean over all of it.
    #[default]
    Everywhere,
    /// One pixel.
    Pixel {
        /// Row from the top.
        row: usize,
        /// Column from the left.
        column: usize,
    },
    /// The mean over some pixels, (row, column).
    Region(Vec<(usize, usize)>),
}

/// The number that is explained: the score of one output, or its mean over a region.
///
/// ```
/// use graticule_explain::{Place, Target};
/// let said = Target::predicted();
/// let road_here = Target::output(3).at(Place::Pixel { row: 10, column: 20 });
/// assert_ne!(said, road_here);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Which output.
    pub which: Which,
    /// Where.
    pub place: Place,
}

impl Target {
    /// What the network says of each sample.
    pub fn predicted() -> Self {
        Self::default()
    }

    /// This class or number.
    pub fn output(index: usize) -> Self {
        Self {
            which: Which::Output(index),
            ..Self::default()
        }
    }

    /// One class or number for each sample.
    pub fn each(indices: Vec<usize>) -> Self {
        Self {
            which: Which::Each(indices),
            ..Self::default()
        }
    }

    /// At a place of an output that is a picture.
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

/// A target with all that was open decided, and what the network says there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resolved {
    /// The output of each sample.
    pub outputs: Vec<usize>,
    /// Positions before the last axis.
    positions: Vec<usize>,
    /// Length of the last axis.
    width: usize,
    /// Elements of a sample's output.
    elements: usize,
    /// A single score is that of the second class.
    single: bool,
}

impl Resolved {
    /// ∂target/∂scores of a sample.
    pub fn weights(&self, sample: usize, weights: &mut [f32]) {
        weights.fill(0.0);
        let share = 1.0 / self.positions.len() as f32;
        let (column, share) = match (self.single, self.outputs[sample]) {
            (true, 0) => (0, -share),
            (true, _) => (0, share),
            (false, k) => (k, share),
        };
        for position in &self.positions {
            weights[position * self.width + column] = share;
        }
    }

    /// The target's score, of all scores of a sample.
    pub fn score(&self, sample: usize, scores: &[f32]) -> f32 {
        let mut weights = vec![0.0; self.elements];
        self.weights(sample, &mut weights);
        scores.iter().zip(&weights).map(|(s, w)| s * w).sum()
    }

    /// What the network says of the target, of all that it says: a probability or a number.
    pub fn prediction(&self, sample: usize, predictions: &[f32]) -> f32 {
        mean_at(
            predictions,
            &self.positions,
            self.width,
            self.single,
            self.outputs[sample],
        )
    }
}

/// What the network says of inputs, before anything is changed about them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answers {
    /// The target's unnormalised score.
    pub scores: Vec<f32>,
    /// The target's probability or number.
    pub predictions: Vec<f32>,
}

impl Subject {
    /// What is asked about, but for the outputs.
    fn place(&self, target: &Target) -> Result<Resolved, ExplainError> {
        let shape: Vec<usize> = self.scores().shape()[1..].to_vec();
        let width = shape.last().copied().unwrap_or(1);
        Ok(Resolved {
            outputs: Vec::new(),
            positions: positions(&target.place, &shape)?,
            width,
            elements: shape.iter().product(),
            single: width == 1 && self.reading() == Reading::Classes,
        })
    }

    /// Decides what is asked about where the network need not be asked first: the outputs are named.
    pub(crate) fn named(
        &self,
        inputs: &ArrayD<f32>,
        target: &Target,
    ) -> Result<Option<Resolved>, ExplainError> {
        if target.which == Which::Predicted {
            return Ok(None);
        }
        let mut resolved = self.place(target)?;
        resolved.outputs = self.choose(&target.which, &resolved, self.count(inputs)?, &[])?;
        Ok(Some(resolved))
    }

    /// Decides what is asked about, and asks.
    pub(crate) fn resolve(
        &mut self,
        inputs: &ArrayD<f32>,
        target: &Target,
    ) -> Result<(Resolved, Answers), ExplainError> {
        let count = self.count(inputs)?;
        let mut resolved = self.place(target)?;
        let mut said: Vec<(Vec<f32>, Vec<f32>)> = Vec::with_capacity(count);
        let outputs = [self.scores().clone(), self.prediction().clone()];
        let len = self.sample_shape().iter().product::<usize>();
        let flat = inputs.as_standard_layout();
        let flat = flat.as_slice().unwrap_or_default();
        self.each(
            &outputs,
            &[],
            count,
            |k, parts| parts[0].copy_from_slice(&flat[k * len..(k + 1) * len]),
            |_, row| said.push((row[0].to_vec(), row[1].to_vec())),
        )?;
        resolved.outputs = self.choose(&target.which, &resolved, count, &said)?;
        let answers = Answers {
            scores: said
                .iter()
                .enumerate()
                .map(|(k, (s, _))| resolved.score(k, s))
                .collect(),
            predictions: said
                .iter()
                .enumerate()
                .map(|(k, (_, p))| resolved.prediction(k, p))
                .collect(),
        };
        Ok((resolved, answers))
    }

    fn choose(
        &self,
        which: &Which,
        resolved: &Resolved,
        count: usize,
        said: &[(Vec<f32>, Vec<f32>)],
    ) -> Result<Vec<usize>, ExplainError> {
        let outputs = if resolved.single { 2 } else { resolved.width };
        let known = |&k: &usize| match k < outputs {
            true => Ok(k),
            false => Err(ExplainError::Target(format!(
                "found output {k}; the network has {outputs} outputs, 0 to {}",
                outputs - 1
            ))),
        };
        match which {
            Which::Output(k) => known(k).map(|k| vec![k; count]),
            Which::Each(each) if each.len() == count => each.iter().map(known).collect(),
            Which::Each(each) => Err(ExplainError::Target(format!(
                "found {} outputs for {} samples; expected one for each",
                each.len(),
                count
            ))),
            Which::Predicted if self.reading() == Reading::Numbers && outputs > 1 => {
                Err(ExplainError::Target(format!(
                    "the network gives {outputs} numbers for each sample; say which one is to be explained"
                )))
            }
            Which::Predicted => {
                let of = |p: &[f32], k| mean_at(p, &resolved.positions, resolved.width, resolved.single, k);
                let best = |p: &Vec<f32>| {
                    let better = |best: usize, k: usize| if of(p, k) > of(p, best) { k } else { best };
                    (1..outputs).fold(0, better)
                };
                Ok(said.iter().map(|(_, p)| best(p)).collect())
            }
        }
    }
}

/// The mean of output `k` over positions.
fn mean_at(values: &[f32], positions: &[usize], width: usize, single: bool, k: usize) -> f32 {
    let value = |p: &usize| match (single, k) {
        (true, 0) => 1.0 - values[*p],
        (true, _) => values[*p],
        (false, k) => values[p * width + k],
    };
    positions.iter().map(value).sum::<f32>() / positions.len() as f32
}

/// The places of an output `shape` before its last axis.
fn positions(place: &Place, shape: &[usize]) -> Result<Vec<usize>, ExplainError> {
    let pixels = match place {
        Place::Everywhere => {
            let all: usize = shape.iter().rev().skip(1).product();
            return Ok((0..all).collect());
        }
        Place::Pixel { row, column } => vec![(*row, *column)],
        Place::Region(pixels) => pixels.clone(),
    };
    let &[height, width, _] = shape else {
        return Err(ExplainError::Target(format!(
            "a place was named, but the network's output has the shape {shape:?}; leave the place out"
        )));
    };
    if pixels.is_empty() {
        return Err(ExplainError::Target(
            "the region has no pixel; name at least one".into(),
        ));
    }
    let position = |&(row, column): &(usize, usize)| match row < height && column < width {
        true => Ok(row * width + column),
        false => Err(ExplainError::Target(format!(
            "found the pixel in row {row}, column {column}; the output has {height} rows and {width} columns, both from 0"
        ))),
    };
    pixels.iter().map(position).collect()
}

/// The input `target weights` by which the loss of a gradient chooses the target: as large as the scores.
pub(crate) fn weights_input(scores: &Symbol) -> Symbol {
    Symbol::input("target weights", scores.shape()[1..].to_vec())
}

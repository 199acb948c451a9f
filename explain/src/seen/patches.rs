//! The patches of real pictures to which a unit answers most (row E4; Zeiler & Fergus 2013).

use std::ops::Range;

use graph::{Binding, Symbol};
use ndarray::ArrayD;
use nn::model::{Field, receptive_fields};

use super::activations::{Watched, check_units, watched};
use crate::{ExplainError, Subject};

/// Where a unit answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// The sample, counted from the first that was looked at.
    pub sample: usize,
    /// The greatest value of the unit's map of that sample.
    pub activation: f32,
    /// Row and column of the map where it stands.
    pub position: [usize; 2],
    /// Rows and columns of the picture that decide about it, padding included: below 0, or beyond the picture.
    pub seen: [Range<i64>; 2],
}

impl Patch {
    /// The rows and columns that lie inside a picture of this height and width.
    pub fn inside(&self, picture: [usize; 2]) -> [Range<usize>; 2] {
        [0, 1].map(|axis| {
            let clip = |at: i64| at.clamp(0, picture[axis] as i64) as usize;
            clip(self.seen[axis].start)..clip(self.seen[axis].end)
        })
    }
}

/// What was found of one unit (one channel of a layer).
#[derive(Debug, Clone, PartialEq)]
pub struct UnitPatches {
    /// The strongest first; of equal ones the earlier sample. At most one of each sample.
    pub patches: Vec<Patch>,
    /// The least and the greatest value anywhere.
    pub range: (f32, f32),
    /// Sums over samples of the greatest value of each and of its square.
    sums: [f64; 2],
}

impl UnitPatches {
    const NONE: Self = Self {
        patches: Vec::new(),
        range: (f32::INFINITY, f32::NEG_INFINITY),
        sums: [0.0; 2],
    };

    /// Whether the unit said the same everywhere: a ReLU that never opens, for one. Its patches mean nothing.
    pub fn is_flat(&self) -> bool {
        self.range.0 >= self.range.1
    }

    /// How far the strongest answers stand out: their mean less the mean of all samples' strongest, in deviations of these.
    fn selectivity(&self, samples: usize) -> f64 {
        let [mean, square] = self.sums.map(|sum| sum / samples.max(1) as f64);
        let deviation = (square - mean * mean).max(0.0).sqrt();
        let top = self.patches.iter().map(|p| f64::from(p.activation)).sum::<f64>();
        let top = top / self.patches.len().max(1) as f64;
        match deviation > 0.0 && !self.is_flat() {
            true => (top - mean) / deviation,
            false => 0.0,
        }
    }

    /// Takes note of a sample's map of this unit: `values` of all channels, `depth` of them.
    fn look(
        &mut self,
        values: &[f32],
        (unit, depth): (usize, usize),
        columns: usize,
        most: usize,
        sample: usize,
        field: &Field,
    ) {
        let (mut best, mut at) = (f32::NEG_INFINITY, 0);
        for (place, &value) in values.iter().skip(unit).step_by(depth).enumerate() {
            self.range = (self.range.0.min(value), self.range.1.max(value));
            if value > best {
                (best, at) = (value, place);
            }
        }
        if best == f32::NEG_INFINITY {
            return;
        }
        let size = f64::from(best);
        self.sums = [self.sums[0] + size, self.sums[1] + size * size];
        let rank = self.patches.partition_point(|patch| patch.activation >= best);
        if rank < most {
            let position = [at / columns, at % columns];
            let patch = Patch {
                sample,
                activation: best,
                position,
                seen: field.pixels(position),
            };
            self.patches.truncate(most - 1);
            self.patches.insert(rank, patch);
        }
    }
}

/// The units of a layer with their patches.
#[derive(Debug, Clone)]
pub struct LayerPatches {
    /// The path of the layer.
    pub layer: String,
    /// Rows, columns and channels of what leaves it.
    pub shape: [usize; 3],
    /// Rows and columns of the picture that one position of its maps depends on.
    pub field: [usize; 2],
    /// One for each channel.
    pub units: Vec<UnitPatches>,
    place: Field,
    node: Symbol,
}

/// Looks through samples for the patches to which the units of layers answer most.
///
/// Samples come in as many calls of [`Strongest::look`] as suits their memory; what is kept is some numbers for each unit.
/// A unit is a channel of a feature map, its answer to a sample the map's greatest value; the patch is what the position of
/// that value sees of the picture ([`nn::model::receptive_fields`]). NaN is never the greatest.
#[derive(Debug, Clone)]
pub struct Strongest {
    layers: Vec<LayerPatches>,
    most: usize,
    samples: usize,
}

impl Strongest {
    /// Looks for the `most` strongest patches of every unit of the layers of these names; of all layers whose output is a
    /// picture if none is named.
    ///
    /// # Errors
    /// [`ExplainError::Unsuited`] for a network without such layers, [`ExplainError::Layer`].
    pub fn new(subject: &Subject, layers: &[&str], most: usize) -> Result<Self, ExplainError> {
        let fields = receptive_fields(subject.model(), &Binding::batch(1))?;
        let of = |layer: Watched| -> Option<LayerPatches> {
            let place = *fields.get(&layer.of_model.id())?;
            Some(LayerPatches {
                units: vec![UnitPatches::NONE; layer.shape[2]],
                layer: layer.name,
                shape: layer.shape,
                field: place.rounded(),
                place,
                node: layer.node,
            })
        };
        let layers = watched(subject, layers, "patches")?;
        Ok(Self {
            layers: layers.into_iter().filter_map(of).collect(),
            most: most.max(1),
            samples: 0,
        })
    }

    /// Whether every layer has these units.
    ///
    /// # Errors
    /// [`ExplainError::Setting`] with the units that there are.
    pub fn check_units(&self, units: &[usize]) -> Result<(), ExplainError> {
        let layers = self.layers.iter();
        check_units(units, layers.map(|layer| (layer.layer.as_str(), layer.shape[2])))
    }

    /// Looks at more samples, `[N, H, W, C]`.
    ///
    /// # Errors
    /// [`ExplainError::Inputs`]; what the engine says.
    pub fn look(&mut self, subject: &mut Subject, inputs: &ArrayD<f32>) -> Result<(), ExplainError> {
        let count = subject.count(inputs)?;
        let nodes: Vec<Symbol> = self.layers.iter().map(|layer| layer.node.clone()).collect();
        let flat = inputs.as_standard_layout();
        let flat = flat.as_slice().unwrap_or_default();
        let len = flat.len() / count;
        let (layers, most, before) = (&mut self.layers, self.most, self.samples);
        subject.each(
            &nodes,
            &[],
            count,
            |k, parts| parts[0].copy_from_slice(&flat[k * len..(k + 1) * len]),
            |k, maps| {
                for (layer, values) in layers.iter_mut().zip(maps) {
                    let [_, columns, depth] = layer.shape;
                    for (unit, found) in layer.units.iter_mut().enumerate() {
                        found.look(values, (unit, depth), columns, most, before + k, &layer.place);
                    }
                }
            },
        )?;
        self.samples += count;
        Ok(())
    }

    /// How many samples were looked at.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// What was found, in the order of the network.
    pub fn layers(&self) -> &[LayerPatches] {
        &self.layers
    }

    /// The `most` units of a layer that are most particular about what they answer to, best first: those whose strongest
    /// answers stand out most from their answers to all samples, in deviations. Units that never change are left out.
    pub fn particular(&self, layer: &LayerPatches, most: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..layer.units.len())
            .filter(|&unit| !layer.units[unit].is_flat())
            .collect();
        let of = |unit: usize| layer.units[unit].selectivity(self.samples);
        order.sort_by(|&a, &b| of(b).total_cmp(&of(a)).then(a.cmp(&b)));
        order.truncate(most);
        order
    }
}

//! Features that a frozen trunk made of samples, kept in memory (row O18).

use std::collections::HashMap;

use data::{DataError, Dataset, Loader, LoaderOptions, Preprocess};
use engine::{Program, Request};
use graph::{Binding, Mode, Symbol, lower};

use crate::{Network, TrainError};

/// Samples that the trunk takes at once.
const BATCH: usize = 32;
/// Bytes that features may take.
const MOST: u64 = 4 << 30;

/// What the trunk of a network gives for some samples of a data set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    width: usize,
    values: Vec<f32>,
    place: HashMap<usize, usize>,
}

impl Features {
    /// Runs `network` up to the node `features`, as at inference, over the samples `indices`. `going` is asked after
    /// each batch, with the number of samples done; `None` if it said no.
    ///
    /// # Errors
    /// When a sample cannot be read, the graph does not run, or the features would not fit in memory.
    pub fn of(
        network: &Network,
        features: &Symbol,
        dataset: &Dataset,
        indices: &[usize],
        threads: usize,
        going: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Option<Self>, TrainError> {
        let width: usize = features.shape()[1..].iter().product();
        let bytes = width as u64 * indices.len() as u64 * 4;
        if bytes > MOST {
            return Err(TrainError::Setting(format!(
                "the features of {} samples, {width} numbers each, would take {:.1} GiB of memory; at most {} GiB are \
                 kept: fine-tune from the head instead, which runs the trunk in each epoch",
                indices.len(),
                bytes as f64 / f64::from(1 << 30),
                MOST >> 30
            )));
        }
        let options = LoaderOptions {
            batch: BATCH,
            threads,
            ..LoaderOptions::default()
        };
        let loader = Loader::new(dataset, indices, network.preprocess(), options)?;
        let mut trunk = Trunk::new(network, features)?;
        let mut found = Self {
            width,
            ..Self::default()
        };
        found.values.reserve(indices.len() * width);
        for batch in loader.epoch(0) {
            let batch = batch?;
            trunk.run(network, &batch.inputs, batch.size, &mut found.values)?;
            for &index in &batch.indices {
                found.place.insert(index, found.place.len());
            }
            if !going(found.place.len()) {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }

    /// Numbers for each sample.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Samples.
    pub fn len(&self) -> usize {
        self.place.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.place.is_empty()
    }

    /// A loader of the features of the samples `indices`.
    ///
    /// # Errors
    /// [`DataError`] when a sample's features are not there, or the options do not fit.
    pub fn loader(
        &self,
        dataset: &Dataset,
        indices: &[usize],
        preprocess: &Preprocess,
        options: LoaderOptions,
    ) -> Result<Loader, DataError> {
        let row = |index: &usize| {
            let place = self.place.get(index)?;
            self.values.get(place * self.width..(place + 1) * self.width)
        };
        // A sample without features makes the rows too short, which the loader tells.
        let rows: Vec<f32> = indices.iter().filter_map(row).flatten().copied().collect();
        Loader::of_rows(dataset, indices, preprocess, options, rows)
    }
}

/// The network up to its features.
struct Trunk {
    request: Request,
    programs: HashMap<usize, Program>,
    parameters: engine::Parameters,
}

impl Trunk {
    fn new(network: &Network, features: &Symbol) -> Result<Self, TrainError> {
        let lowered = lower(std::slice::from_ref(features), Mode::Infer)?;
        Ok(Self {
            request: Request::outputs(&lowered.outputs),
            programs: HashMap::new(),
            parameters: network.parameters().clone(),
        })
    }

    fn run(
        &mut self,
        network: &Network,
        inputs: &[f32],
        size: usize,
        into: &mut Vec<f32>,
    ) -> Result<(), TrainError> {
        let program = match self.programs.entry(size) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => entry.insert(Program::compile(
                network.engine(),
                &self.request,
                self.parameters.layout(),
                &Binding::batch(size),
            )?),
        };
        let name = network.model().input().as_input().map_or("", |i| &i.name);
        program.set_input(name, inputs)?;
        program.run(&mut self.parameters, 0)?;
        into.extend_from_slice(program.output(0));
        Ok(())
    }
}

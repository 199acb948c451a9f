//! One batch from its sample indices.

use super::{Batch, Buffers, LoaderOptions};
use crate::augment::{Augment, SampleKey, look_up, mix_batch};
use crate::preprocess::InputEncoding;
use crate::random::{Purpose, rng, shuffle};
use crate::{DataError, Dataset, ErrorKind, Preprocess, Source, Target, Task};
use std::sync::{Arc, Mutex};

/// All that the threads of a loader share.
pub(super) struct Assembler {
    pub(super) source: Arc<dyn Source>,
    pub(super) indices: Vec<usize>,
    pub(super) preprocess: Preprocess,
    pub(super) options: LoaderOptions,
    pub(super) input_len: usize,
    pub(super) target_width: usize,
    pub(super) soft: bool,
    augment: Option<Augment>,
    /// Rows encoded once, or given, by place in `indices`; images stay bytes in their source.
    rows: Option<Vec<f32>>,
    /// Encoded value of every byte in every channel.
    table: Vec<f32>,
    pool: Arc<Mutex<Vec<Buffers>>>,
}

impl Assembler {
    pub(super) fn new(
        dataset: &Dataset,
        indices: &[usize],
        preprocess: &Preprocess,
        options: LoaderOptions,
        given: Option<Vec<f32>>,
    ) -> Result<Self, DataError> {
        let single_class = matches!(preprocess.task, Task::Classification { .. });
        let augment = options.augment.clone().filter(Augment::is_active);
        if let Some(augment) = &augment {
            augment.check(&preprocess.input_shape())?;
        }
        let mixes = augment.as_ref().is_some_and(Augment::mixes);
        let soft = single_class && (options.soft_targets || mixes);
        let target_width = if soft {
            preprocess.task.outputs()
        } else {
            preprocess.target_len()
        };
        let input_len = match &given {
            Some(rows) => rows.len() / indices.len().max(1),
            None => preprocess.input_len(),
        };
        let (rows, table) = match (&preprocess.input, given) {
            (_, Some(rows)) => (Some(rows), Vec::new()),
            (InputEncoding::Image(encoding), None) => (None, encoding.table()),
            (InputEncoding::Table(_), None) => (Some(encode_rows(dataset, indices, preprocess)?), Vec::new()),
        };
        Ok(Self {
            source: Arc::clone(&dataset.source),
            indices: indices.to_vec(),
            preprocess: preprocess.clone(),
            options,
            input_len,
            target_width,
            soft,
            augment,
            rows,
            table,
            pool: Arc::default(),
        })
    }

    /// Places in `indices` in the order of `epoch`.
    pub(super) fn places(&self, epoch: u64) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.indices.len()).collect();
        if self.options.shuffle {
            shuffle(
                &mut places,
                &mut rng(self.options.seed, epoch, 0, Purpose::Shuffle),
            );
        }
        places
    }

    pub(super) fn order(&self, epoch: u64) -> Vec<usize> {
        self.places(epoch)
            .into_iter()
            .map(|place| self.indices[place])
            .collect()
    }

    /// Batch `number` of the epoch whose order is `places`.
    pub(super) fn batch(&self, epoch: u64, places: &[usize], number: usize) -> Result<Batch, DataError> {
        let start = number * self.options.batch;
        let places = &places[start..places.len().min(start + self.options.batch)];
        let mut batch = self.empty_batch(places);
        let inputs = batch.inputs.chunks_exact_mut(self.input_len);
        let targets = batch.targets.chunks_exact_mut(self.target_width);
        for ((&place, input), target) in places.iter().zip(inputs).zip(targets) {
            self.input(epoch, place, input)?;
            self.target(self.indices[place], target)?;
        }
        if let Some(augment) = self.augment.as_ref().filter(|a| a.mixes()) {
            let key = (self.options.seed, epoch);
            let Batch {
                indices,
                inputs,
                targets,
                ..
            } = &mut batch;
            mix_batch(augment.mixup, key, indices, inputs, targets);
        }
        Ok(batch)
    }

    fn empty_batch(&self, places: &[usize]) -> Batch {
        let recycled = self.pool.lock().ok().and_then(|mut pool| pool.pop());
        let (mut inputs, mut targets, mut indices) = recycled.unwrap_or_default();
        inputs.resize(places.len() * self.input_len, 0.0);
        targets.resize(places.len() * self.target_width, 0.0);
        indices.clear();
        indices.extend(places.iter().map(|&place| self.indices[place]));
        Batch {
            inputs,
            targets,
            indices,
            size: places.len(),
            pool: Some(Arc::clone(&self.pool)),
        }
    }

    fn input(&self, epoch: u64, place: usize, out: &mut [f32]) -> Result<(), DataError> {
        let index = self.indices[place];
        let key = SampleKey {
            seed: self.options.seed,
            epoch,
            sample: index as u64,
        };
        let encoding = match (&self.preprocess.input, &self.rows) {
            (InputEncoding::Image(encoding), None) => encoding,
            (_, rows) => {
                let rows = rows.as_deref().unwrap_or_default();
                out.copy_from_slice(&rows[place * self.input_len..][..self.input_len]);
                if let Some(augment) = &self.augment {
                    augment.values(key, out);
                }
                return Ok(());
            }
        };
        let mut whole = false;
        self.source.with_pixels(index, &mut |pixels| {
            whole = pixels.len() == out.len();
            match &self.augment {
                _ if !whole => {}
                Some(augment) => augment.image(pixels, encoding, &self.table, key, out),
                None => look_up(pixels, &self.table, encoding.channels, out),
            }
        })?;
        if whole {
            Ok(())
        } else {
            Err(wrong_size(&self.source.name_of(index), out.len()))
        }
    }

    fn target(&self, index: usize, out: &mut [f32]) -> Result<(), DataError> {
        let target = self.source.target(index)?;
        let named = |mut error: DataError| {
            error.place = self.source.name_of(index);
            error
        };
        match target {
            Target::Class(class) if self.soft && class < out.len() => {
                out.fill(0.0);
                out[class] = 1.0;
                Ok(())
            }
            target => self.preprocess.encode_target(&target, out).map_err(named),
        }
    }
}

fn wrong_size(place: &str, expected: usize) -> DataError {
    DataError::new(ErrorKind::ImageSize, place)
        .found("another number of pixels")
        .expected(format!("{expected} values"))
        .remedy("Check that the file did not change since the data set was opened.")
}

fn encode_rows(dataset: &Dataset, indices: &[usize], preprocess: &Preprocess) -> Result<Vec<f32>, DataError> {
    let width = preprocess.input_len();
    let mut rows = vec![0.0; indices.len() * width];
    for (&index, row) in indices.iter().zip(rows.chunks_exact_mut(width.max(1))) {
        preprocess
            .encode_into(&dataset.source.raw(index)?, row)
            .map_err(|mut error| {
                error.place = format!(
                    "{}, {}, {}",
                    dataset.name,
                    dataset.source.name_of(index),
                    error.place
                );
                error
            })?;
    }
    Ok(rows)
}

//! From a trained network to what the explaining wing asks of it, and from its maps to pictures.

use data::{InputEncoding, Task};
use explain::{Reading, Subject};
use ndarray::{Array2, Array3, ArrayD, ArrayView2, Axis, Ix2, s};
use report::figures::Overlay;
use train::Network;

use crate::error::Outcome;

/// The network, ready to be explained.
pub fn subject(network: &Network) -> Outcome<Subject> {
    let reading = match network.task() {
        Task::Classification { .. } => Reading::Classes,
        Task::MultiLabel { .. } => Reading::Labels,
        Task::Regression { .. } => Reading::Numbers,
    };
    Ok(Subject::new(
        network.engine(),
        network.model(),
        network.parameters(),
        reading,
    )?)
}

/// Encoded samples, row after row, as the batch that a [`Subject`] takes.
pub fn batch(network: &Network, encoded: Vec<f32>) -> Outcome<ArrayD<f32>> {
    let sample = network.preprocess().input_shape();
    let count = encoded.len() / sample.iter().product::<usize>().max(1);
    let shape: Vec<usize> = std::iter::once(count).chain(sample).collect();
    Ok(ArrayD::from_shape_vec(shape, encoded)?)
}

/// Sample `k` of a batch as a picture for people: grey or RGB.
pub fn picture(network: &Network, inputs: &ArrayD<f32>, k: usize) -> Array3<u8> {
    let InputEncoding::Image(encoding) = &network.preprocess().input else {
        return Array3::zeros((1, 1, 1));
    };
    let encoded: Vec<f32> = inputs.index_axis(Axis(0), k).iter().copied().collect();
    let pixels = Array3::from_shape_vec(encoding.shape(), encoding.decode(&encoded)).unwrap_or_default();
    // A second or fourth channel need not be an opacity.
    let shown = match encoding.channels {
        0..=2 => 1,
        _ => 3,
    };
    pixels.slice_move(s![.., .., ..shown])
}

/// The map of sample `k` on its picture.
pub fn overlay(title: &str, picture: &Array3<u8>, map: ArrayView2<f32>, signed: bool) -> Overlay {
    Overlay {
        title: title.into(),
        picture: picture.clone(),
        values: map.mapv(f64::from),
        signed,
    }
}

/// The map of sample `k` as rows and columns; empty where it is no picture.
pub fn map_of(maps: &ArrayD<f32>, k: usize) -> Array2<f32> {
    let map = maps.index_axis(Axis(0), k).to_owned();
    map.into_dimensionality::<Ix2>().unwrap_or_default()
}

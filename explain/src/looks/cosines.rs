//! Pictures as sums of cosine waves: the discrete cosine transform, orthonormal, of any size.

use std::f64::consts::PI;

/// The waves of pictures of one size.
///
/// A channel is x = Rᵀ·z·C with the orthonormal DCT-II matrices R (rows) and C (columns),
/// R[u, y] = √(2/H)·cos(π(y + ½)u/H), and √(1/H) for u = 0. Being orthonormal, the transform is its inverse's transpose,
/// so gradients go back by [`Cosines::waves`]. The cosines know no seam at the border, as Fourier's waves do.
#[derive(Debug, Clone)]
pub(super) struct Cosines {
    sides: [usize; 2],
    /// R and C for the way to the picture, `[u, y]`, and transposed for the way back.
    rows: [Vec<f32>; 2],
    columns: [Vec<f32>; 2],
}

impl Cosines {
    pub fn new([height, width]: [usize; 2]) -> Self {
        Self {
            sides: [height, width],
            rows: [matrix(height), transposed(&matrix(height), height)],
            columns: [matrix(width), transposed(&matrix(width), width)],
        }
    }

    /// How many cycles a pixel wave (u, v) has: √((u/2H)² + (v/2W)²).
    pub fn frequency(&self, u: usize, v: usize) -> f32 {
        let [height, width] = self.sides;
        (u as f32 / (2 * height) as f32).hypot(v as f32 / (2 * width) as f32)
    }

    /// A channel `[H, W]` from its waves, in place.
    pub fn picture(&self, channel: &mut [f32], spare: &mut Vec<f32>) {
        self.apply(channel, spare, 0);
    }

    /// The waves of a channel, in place.
    pub fn waves(&self, channel: &mut [f32], spare: &mut Vec<f32>) {
        self.apply(channel, spare, 1);
    }

    fn apply(&self, channel: &mut [f32], spare: &mut Vec<f32>, way: usize) {
        let width = self.sides[1];
        spare.clear();
        spare.resize(channel.len(), 0.0);
        // Whole rows are added up in both passes, which the compiler turns into vectors.
        for (from, row) in channel.chunks(width).enumerate() {
            let weights = &self.rows[way][from * self.sides[0]..];
            for (line, weight) in spare.chunks_mut(width).zip(weights) {
                line.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
            }
        }
        channel.fill(0.0);
        for (line, row) in channel.chunks_mut(width).zip(spare.chunks(width)) {
            for (weights, x) in self.columns[way].chunks(width).zip(row) {
                line.iter_mut().zip(weights).for_each(|(sum, w)| *sum += w * x);
            }
        }
    }
}

fn matrix(side: usize) -> Vec<f32> {
    let n = side as f64;
    let entry = |u: usize, y: usize| match u {
        0 => (1.0 / n).sqrt(),
        _ => (2.0 / n).sqrt() * (PI * (y as f64 + 0.5) * u as f64 / n).cos(),
    };
    (0..side * side)
        .map(|k| entry(k / side, k % side) as f32)
        .collect()
}

fn transposed(matrix: &[f32], side: usize) -> Vec<f32> {
    let entry = |k: usize| matrix[k % side * side + k / side];
    (0..side * side).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_give_the_picture_back_and_keep_its_length() {
        let cosines = Cosines::new([5, 8]);
        let picture: Vec<f32> = (0..40).map(|k| (k as f32 * 1.3).sin()).collect();
        let (mut there, mut spare) = (picture.clone(), Vec::new());
        cosines.waves(&mut there, &mut spare);
        let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>();
        assert!((length(&there) - length(&picture)).abs() < 1e-4);
        // Wave (0, 0) is the mean, wave (2, 1) as it is written down.
        let mean = picture.iter().sum::<f32>() / 40.0;
        assert!((there[0] - mean * 40.0f32.sqrt()).abs() < 1e-5);
        let wave = |k: usize| {
            let (y, x) = ((k / 8) as f64, (k % 8) as f64);
            (PI * (y + 0.5) * 2.0 / 5.0).cos() * (PI * (x + 0.5) / 8.0).cos() * (2.0f64 / 5.0).sqrt() * 0.5
        };
        let expected: f64 = (0..40).map(|k| wave(k) * f64::from(picture[k])).sum();
        assert!((f64::from(there[2 * 8 + 1]) - expected).abs() < 1e-5);
        cosines.picture(&mut there, &mut spare);
        assert!(there.iter().zip(&picture).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}

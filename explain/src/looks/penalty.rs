//! What an unlikely picture costs, with slopes: total variation and the α-norm.

/// TV_β(x) = Σ ((x(y,x+1) − x(y,x))² + (x(y+1,x) − x(y,x))² + ε)^(β/2) over a picture `[H, W, C]`, channel by channel;
/// a difference that would leave the picture is 0. β = 1 is the total variation proper, β = 2 the energy of the
/// gradient (Mahendran & Vedaldi 2014, equation 4). ε = 1e-8 keeps the slope of β < 2 finite on flat ground.
///
/// Adds `share` times its slope to `slope`; gives back `share` times its value.
pub(super) fn total_variation(
    x: &[f32],
    [height, width, channels]: [usize; 3],
    beta: f32,
    share: f32,
    slope: &mut [f32],
) -> f64 {
    const FLAT: f32 = 1e-8;
    let (down, along) = (width * channels, channels);
    let mut sum = 0.0f64;
    for place in 0..x.len() {
        let (row, column) = (place / down, place % down / channels);
        let right = if column + 1 < width {
            x[place + along] - x[place]
        } else {
            0.0
        };
        let below = if row + 1 < height {
            x[place + down] - x[place]
        } else {
            0.0
        };
        let square = right * right + below * below + FLAT;
        sum += f64::from(square.powf(beta / 2.0));
        let factor = share * beta * square.powf(beta / 2.0 - 1.0);
        slope[place] -= factor * (right + below);
        if column + 1 < width {
            slope[place + along] += factor * right;
        }
        if row + 1 < height {
            slope[place + down] += factor * below;
        }
    }
    f64::from(share) * sum
}

/// Σ |x/b|^α: cheap up to b and steep beyond, for large α (the same paper, equation 3).
///
/// Adds `share` times its slope to `slope`; gives back `share` times its value.
pub(super) fn alpha_norm(x: &[f32], alpha: f32, bound: f32, share: f32, slope: &mut [f32]) -> f64 {
    let mut sum = 0.0f64;
    for (value, slope) in x.iter().zip(slope) {
        let size = (value / bound).abs();
        sum += f64::from(size.powf(alpha));
        if size > 0.0 {
            *slope += share * alpha * size.powf(alpha - 1.0) * value.signum() / bound;
        }
    }
    f64::from(share) * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [4, 3, 2];

    fn picture() -> Vec<f32> {
        (0..24).map(|k| (k as f32 * 2.1).sin()).collect()
    }

    /// The slope of each element against central differences.
    fn holds(cost: impl Fn(&[f32], &mut [f32]) -> f64) {
        let x = picture();
        let mut slope = vec![0.0; x.len()];
        cost(&x, &mut slope);
        for place in 0..x.len() {
            let at = |step: f32| {
                let mut moved = x.clone();
                moved[place] += step;
                cost(&moved, &mut vec![0.0; x.len()])
            };
            let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
            let found = f64::from(slope[place]);
            assert!(
                (found - difference).abs() < 5e-3 * (1.0 + difference.abs()),
                "{place}: {found} {difference}"
            );
        }
    }

    #[test]
    fn e5_slopes_of_total_variation_are_its_differences() {
        for beta in [1.0, 1.5, 2.0] {
            holds(|x, slope| total_variation(x, SHAPE, beta, 0.7, slope));
        }
        // A step of height 3 along two of four rows, in one channel.
        let mut x = vec![0.0; 24];
        (0..2).for_each(|y| x[y * 6] = 3.0);
        let value = total_variation(&x, SHAPE, 2.0, 1.0, &mut [0.0; 24]);
        assert!((value - 27.0).abs() < 1e-4, "{value}");
    }

    #[test]
    fn e5_slopes_of_the_alpha_norm_are_its_differences() {
        holds(|x, slope| alpha_norm(x, 6.0, 1.2, 0.3, slope));
        holds(|x, slope| alpha_norm(x, 2.0, 0.5, 1.0, slope));
        assert!((alpha_norm(&[2.0, 0.0], 6.0, 2.0, 0.5, &mut [0.0; 2]) - 0.5).abs() < 1e-9);
    }
}

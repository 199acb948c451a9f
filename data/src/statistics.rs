//! Means, medians and outlier scores (S3).

/// Values beyond it count as it in means and variances: the squares of larger ones are no numbers.
const FARTHEST: f64 = 1e150;

/// Weighted mean and variance, one value at a time (Welford; West 1979).
#[derive(Debug, Clone, Copy, Default)]
pub struct Moments {
    weight: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Adds `value` with `weight`.
    pub fn add(&mut self, value: f64, weight: f64) {
        if weight <= 0.0 {
            return;
        }
        let value = value.clamp(-FARTHEST, FARTHEST);
        self.weight += weight;
        let delta = value - self.mean;
        self.mean += delta * weight / self.weight;
        self.squares += weight * delta * (value - self.mean);
    }

    /// The mean; 0 without values.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The population standard deviation; 0 without values.
    pub fn std(&self) -> f64 {
        if self.weight > 0.0 {
            (self.squares / self.weight).max(0.0).sqrt()
        } else {
            0.0
        }
    }

    /// The standard deviation to divide by: 1 where all values are equal up to rounding.
    pub fn scale(&self) -> f64 {
        let std = self.std();
        if std > 1e-9 * self.mean.abs().max(1e-6) {
            std
        } else {
            1.0
        }
    }
}

/// The median; reorders `values`. `None` without values.
pub fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    let even = values.len().is_multiple_of(2);
    let (_, &mut low, above) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if !even {
        return Some(low);
    }
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    // Halved first: the sum of the two, or their distance, may be too large.
    Some(low / 2.0 + high / 2.0)
}

/// 1.4826 times the median absolute deviation from `centre`: the standard deviation, for normal data.
/// Overwrites `values`.
pub fn mad(values: &mut [f64], centre: f64) -> f64 {
    values.iter_mut().for_each(|v| *v = (*v - centre).abs());
    (1.4826 * median(values).unwrap_or(0.0)).min(f64::MAX)
}

/// A value far from the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlier {
    /// Position in the list.
    pub index: usize,
    /// The value.
    pub value: f64,
    /// Robust z-score: distance from the median in robust standard deviations.
    pub score: f64,
}

/// Values whose robust z-score (median and median absolute deviation; Iglewicz and Hoaglin 1993) is above
/// `limit`, the farthest first. NaN are passed over. Where more than half of the values are equal there is no
/// scale, and nothing is reported.
///
/// ```
/// use graticule_data::statistics::outliers;
/// let prices = [450.0, 520.0, 480.0, 510.0, 0.001, 495.0, 505.0];
/// assert_eq!(outliers(&prices, 6.0)[0].index, 4);
/// ```
pub fn outliers(values: &[f64], limit: f64) -> Vec<Outlier> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let Some(centre) = median(&mut finite) else {
        return Vec::new();
    };
    let scale = mad(&mut finite, centre);
    if scale <= 0.0 {
        return Vec::new();
    }
    let score = |(index, &value): (usize, &f64)| Outlier {
        index,
        value,
        score: (value - centre) / scale,
    };
    let mut found: Vec<Outlier> = values
        .iter()
        .enumerate()
        .map(score)
        .filter(|o| o.score.abs() > limit)
        .collect();
    found.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()));
    found
}

/// [`outliers`] on the scale the values live on: their logarithms where all are positive (prices, counts, areas),
/// else themselves. A price of 0.001 among houses is far off only on the first.
pub fn outliers_by_nature(values: &[f64], limit: f64) -> Vec<Outlier> {
    if !values.iter().all(|v| v.is_nan() || *v > 0.0) {
        return outliers(values, limit);
    }
    let logarithms: Vec<f64> = values.iter().map(|v| v.ln()).collect();
    let mut found = outliers(&logarithms, limit);
    found.iter_mut().for_each(|o| o.value = values[o.index]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_medians_are_the_textbook_ones() {
        let mut moments = Moments::default();
        [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]
            .iter()
            .for_each(|&v| moments.add(v, 1.0));
        assert!((moments.mean() - 5.0).abs() < 1e-12 && (moments.std() - 2.0).abs() < 1e-12);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn the_largest_numbers_have_finite_statistics() {
        let far = [-1e308, 1e308, -1.7e308, 1.7e308];
        assert_eq!(median(&mut far.clone()), Some(0.0));
        assert!(mad(&mut far.clone(), 1e308).is_finite());
        let mut moments = Moments::default();
        far.iter().for_each(|v| moments.add(*v, 1.0));
        assert!(moments.mean().is_finite() && moments.std().is_finite() && moments.scale() > 1e149);
    }

    #[test]
    fn a_constant_column_is_not_divided_by_zero() {
        let mut moments = Moments::default();
        (0..10).for_each(|_| moments.add(0.1, 1.0));
        assert_eq!(moments.scale(), 1.0);
        assert!(outliers(&[1.0, 1.0, 1.0, 9.0], 3.0).is_empty());
    }
}

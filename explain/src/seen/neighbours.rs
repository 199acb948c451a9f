//! Whether what belongs together lies together: classes and values among nearest neighbours.

use ndarray::ArrayView2;

use super::distances::squared;

/// The mean share of the k nearest neighbours of each point (rows of `points`) that are of its class; k is n − 1 at most.
/// [`chance`] is what points without order would give. 0 for fewer than two points.
///
/// ```
/// use graticule_explain::seen::purity;
/// let points = ndarray::arr2(&[[0.0], [0.1], [5.0], [5.1]]);
/// assert_eq!(purity(points.view(), &[0, 0, 1, 1], 1), 1.0);
/// ```
pub fn purity(points: ArrayView2<f64>, classes: &[usize], k: usize) -> f64 {
    let shares = nearest(points, k).into_iter().enumerate().map(|(i, near)| {
        let same = near.iter().filter(|&&j| classes[j] == classes[i]).count();
        same as f64 / near.len().max(1) as f64
    });
    mean(shares)
}

/// What [`purity`] would be if neighbours had nothing to do with classes: Σ n_c (n_c − 1) / (n (n − 1)).
pub fn chance(classes: &[usize]) -> f64 {
    let n = classes.len() as f64;
    let mut counts = vec![0usize; classes.iter().max().map_or(0, |most| most + 1)];
    classes.iter().for_each(|&class| counts[class] += 1);
    let pairs: f64 = counts.iter().map(|&c| c as f64 * (c as f64 - 1.0)).sum();
    if n > 1.0 { pairs / (n * (n - 1.0)) } else { 0.0 }
}

/// The share of the variance of `values` that the mean of each point's k nearest neighbours tells:
/// 1 − Σ(vᵢ − mean of neighbours)² / Σ(vᵢ − v̄)². `None` where all values are the same, or for fewer than two points.
pub fn neighbour_r2(points: ArrayView2<f64>, values: &[f64], k: usize) -> Option<f64> {
    let middle = mean(values.iter().copied());
    let spread: f64 = values.iter().map(|v| (v - middle).powi(2)).sum();
    let missed: f64 = nearest(points, k)
        .into_iter()
        .zip(values)
        .map(|(near, value)| (value - mean(near.iter().map(|&j| values[j]))).powi(2))
        .sum();
    (spread > 0.0 && values.len() > 1).then(|| 1.0 - missed / spread)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), v| (sum + v, count + 1));
    sum / count.max(1) as f64
}

/// The k nearest other points of each; of equally near ones the earlier.
fn nearest(points: ArrayView2<f64>, k: usize) -> Vec<Vec<usize>> {
    let distances = squared(points);
    let n = points.nrows();
    let k = k.min(n.saturating_sub(1));
    let of = |i: usize| {
        let row = distances.row(i);
        let mut others: Vec<usize> = (0..n).filter(|&j| j != i).collect();
        let order = |a: &usize, b: &usize| row[*a].total_cmp(&row[*b]).then(a.cmp(b));
        if k < others.len() {
            others.select_nth_unstable_by(k, order);
            others.truncate(k);
        }
        others
    };
    (0..n).map(of).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, arr2};

    use super::*;

    #[test]
    fn purity_counts_neighbours_of_the_same_class() {
        let points = arr2(&[[0.0, 0.0], [0.0, 1.0], [0.0, 2.5], [9.0, 0.0], [9.0, 1.0]]);
        // The nearest of 0 is 1, of 1 is 0, of 2 is 1, of 3 is 4, of 4 is 3.
        assert_eq!(purity(points.view(), &[0, 0, 1, 2, 2], 1), 4.0 / 5.0);
        // With two neighbours: halves of 0, 1; none of 2; halves of 3, 4.
        assert_eq!(purity(points.view(), &[0, 0, 1, 2, 2], 2), 2.0 / 5.0);
        assert!((chance(&[0, 0, 1, 2, 2]) - 4.0 / 20.0).abs() < 1e-15);
    }

    #[test]
    fn without_order_purity_is_chance() {
        // All points in one place: neighbours are the earliest ones, the same for each but itself.
        let one = Array2::zeros((1, 3));
        assert_eq!(
            (purity(one.view(), &[0], 10), chance(&[0]), chance(&[])),
            (0.0, 0.0, 0.0)
        );
        assert_eq!(purity(Array2::zeros((0, 3)).view(), &[], 10), 0.0);
        let mut random = crate::random::rng(1, 0, 0, crate::random::Purpose::Order);
        let classes: Vec<usize> = crate::random::permutation(400, &mut random)
            .iter()
            .map(|i| i % 4)
            .collect();
        let order = crate::random::permutation(800, &mut random);
        let points = Array2::from_shape_fn((400, 2), |(i, j)| order[2 * i + j] as f64);
        assert!((purity(points.view(), &classes, 10) - chance(&classes)).abs() < 0.05);
    }

    #[test]
    fn neighbours_tell_a_value_that_follows_the_place() {
        let points = Array2::from_shape_fn((50, 1), |(i, _)| i as f64);
        let values: Vec<f64> = (0..50).map(|i| f64::from(i) * 3.0).collect();
        assert!(neighbour_r2(points.view(), &values, 2).unwrap() > 0.99);
        assert_eq!(neighbour_r2(points.view(), &[4.0; 50], 2), None);
        assert_eq!(neighbour_r2(Array2::zeros((1, 1)).view(), &[4.0], 2), None);
    }
}

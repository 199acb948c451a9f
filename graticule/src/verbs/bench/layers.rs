//! The kernels of a step gathered by layer and pass.

use serde::Serialize;
use train::{PartTime, Pass};

/// One layer in one pass.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerTime {
    /// The layer.
    pub layer: String,
    /// Its ops in this pass.
    pub ops: Vec<&'static str>,
    /// The pass.
    pub pass: Pass,
    /// Milliseconds for the batch.
    pub milliseconds: f64,
    /// Share of the time of all kernels.
    pub share_of_time: f64,
    /// Arithmetic in a second.
    pub gflops: f64,
    /// The same as a share of the measured peak.
    pub share_of_peak: f64,
    /// Bytes read and written in a second, in 10⁹.
    pub gigabytes_per_second: f64,
}

/// The parts gathered by layer and pass, each layer where it first appears.
pub fn layers(parts: &[PartTime]) -> Vec<LayerTime> {
    let total: f64 = parts.iter().map(|p| p.seconds).sum::<f64>().max(1e-12);
    let mut order: Vec<(&str, Pass)> = Vec::new();
    for part in parts {
        if !order.contains(&(&part.layer, part.pass)) {
            order.push((&part.layer, part.pass));
        }
    }
    let gathered = |&(layer, pass): &(&str, Pass)| {
        let own: Vec<&PartTime> = parts
            .iter()
            .filter(|p| p.layer == layer && p.pass == pass)
            .collect();
        let seconds: f64 = own.iter().map(|p| p.seconds).sum();
        let flops: u64 = own.iter().map(|p| p.cost.flops).sum();
        let bytes: usize = own.iter().map(|p| p.bytes).sum();
        let mut ops: Vec<&'static str> = Vec::new();
        for part in &own {
            if !ops.contains(&part.op) {
                ops.push(part.op);
            }
        }
        LayerTime {
            layer: layer.into(),
            ops,
            pass,
            milliseconds: seconds * 1e3,
            share_of_time: seconds / total,
            gflops: flops as f64 / seconds.max(1e-12) / 1e9,
            share_of_peak: 0.0,
            gigabytes_per_second: bytes as f64 / seconds.max(1e-12) / 1e9,
        }
    };
    order.iter().map(gathered).collect()
}

/// The same parts with the median of their seconds.
pub fn median_parts<'a>(profiles: impl Iterator<Item = &'a [PartTime]> + Clone) -> Vec<PartTime> {
    let mut parts = profiles.clone().next().map_or(Vec::new(), <[PartTime]>::to_vec);
    for (k, part) in parts.iter_mut().enumerate() {
        part.seconds = median(profiles.clone().filter_map(|p| Some(p.get(k)?.seconds)).collect());
    }
    parts
}

/// The middle value, or the mean of the two in the middle; 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::Cost;

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn parts_are_gathered_by_layer_and_pass() {
        let part = |layer: &str, op, pass, seconds, flops| PartTime {
            layer: layer.into(),
            op,
            pass,
            cost: Cost {
                macs: flops / 2,
                flops,
            },
            bytes: 1_000_000,
            seconds,
        };
        let parts = [
            part("dense", "matmul", Pass::Forward, 1e-3, 2_000_000),
            part("loss", "cross_entropy", Pass::Forward, 1e-3, 0),
            part("dense", "matmul", Pass::Weights, 1e-3, 4_000_000),
            part("dense", "reduce_sum", Pass::Weights, 1e-3, 0),
        ];
        let found = layers(&parts);
        assert_eq!(found.len(), 3);
        assert_eq!(found[2].ops, ["matmul", "reduce_sum"]);
        assert!((found[2].milliseconds - 2.0).abs() < 1e-9 && (found[2].gflops - 2.0).abs() < 1e-9);
        assert!((found[2].gigabytes_per_second - 1.0).abs() < 1e-9);
        assert!((found.iter().map(|l| l.share_of_time).sum::<f64>() - 1.0).abs() < 1e-9);
        let twice = median_parts([&parts[..], &parts[..]].into_iter());
        assert_eq!(twice, parts);
    }
}

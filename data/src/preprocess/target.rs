//! Targets: class indices as they are, regression values scaled.

use crate::{DataError, ErrorKind, Target, Task};
use serde::{Deserialize, Serialize};

/// Scaling of regression targets, `(value − mean) / std`; empty for classes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetEncoding {
    /// Mean of each target over the training set.
    pub mean: Vec<f32>,
    /// Standard deviation of each target over the training set; 1 where it is constant.
    pub std: Vec<f32>,
}

impl TargetEncoding {
    pub(super) fn encode(&self, task: &Task, target: &Target, out: &mut [f32]) -> Result<(), DataError> {
        match (task, target) {
            (Task::Classification { classes }, Target::Class(class)) if *class < classes.len() => {
                out.copy_from_slice(&[*class as f32]);
                Ok(())
            }
            (Task::MultiLabel { classes }, Target::Classes(on)) if on.iter().all(|&c| c < classes.len()) => {
                out.fill(0.0);
                for &class in on {
                    out[class] = 1.0;
                }
                Ok(())
            }
            (Task::Regression { targets }, Target::Values(values)) if values.len() == targets.len() => {
                for (place, (value, out)) in values.iter().zip(out).enumerate() {
                    *out = (value - self.mean[place]) / self.std[place];
                }
                Ok(())
            }
            _ => Err(DataError::new(ErrorKind::Target, "target")
                .found(format!("{target:?}"))
                .expected(format!("one that fits the outputs {:?}", task.output_names()))
                .remedy("Use data of the kind the model was trained on.")),
        }
    }

    /// Scaled outputs back to the units of the data, row after row.
    pub fn decode(&self, output: &[f32]) -> Vec<f32> {
        if self.mean.is_empty() {
            return output.to_vec();
        }
        let back = |(place, &v): (usize, &f32)| {
            let target = place % self.mean.len();
            v * self.std[target] + self.mean[target]
        };
        output.iter().enumerate().map(back).collect()
    }
}

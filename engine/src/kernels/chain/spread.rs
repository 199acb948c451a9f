//! Numbers by channel, spread over a tile.

use super::super::Task;
use super::super::norm::inverses;
use crate::plan::chain::Link;

/// What a tile-long vector of numbers by channel is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Spread {
    /// Operand `k` from `offset` on.
    Operand { k: usize, offset: usize },
    /// Means of the moments in operand `k`.
    Means { moments: usize },
    /// γ/√(σ² + ε), or 1/√(σ² + ε) without γ.
    Scales {
        moments: usize,
        gamma: Option<usize>,
        epsilon: f32,
    },
    /// Σg/M of the sums.
    Centres { sums: usize },
    /// Σ(g·x̂)/(M·√(σ² + ε)).
    Slopes {
        moments: usize,
        sums: usize,
        epsilon: f32,
    },
}

impl Spread {
    /// What a link reads by channel.
    pub(super) fn of(link: Link) -> Vec<Spread> {
        match link {
            Link::Normalize { epsilon, vectors, .. } => {
                let [moments, gamma, beta] = vectors;
                vec![
                    Spread::Means { moments },
                    Spread::Scales {
                        moments,
                        gamma: Some(gamma),
                        epsilon,
                    },
                    Spread::Operand { k: beta, offset: 0 },
                ]
            }
            Link::InputGradient { epsilon, vectors, .. } => {
                let [moments, gamma, sums] = vectors;
                vec![
                    Spread::Means { moments },
                    Spread::Scales {
                        moments,
                        gamma: Some(gamma),
                        epsilon,
                    },
                    Spread::Centres { sums },
                    Spread::Slopes {
                        moments,
                        sums,
                        epsilon,
                    },
                ]
            }
            _ => Vec::new(),
        }
    }

    /// Writes the numbers of the channels; `share` is one by the number of rows.
    pub(super) fn write(&self, task: &Task<'_>, share: f32, first: &mut [f32]) {
        let c = first.len();
        match *self {
            Spread::Operand { k, offset } => first.copy_from_slice(&task.input(k)[offset..offset + c]),
            Spread::Means { moments } => first.copy_from_slice(&task.input(moments)[..c]),
            Spread::Scales {
                moments,
                gamma,
                epsilon,
            } => {
                let inverse = inverses(task.input(moments), epsilon);
                first.iter_mut().zip(inverse).for_each(|(to, i)| *to = i);
                if let Some(gamma) = gamma {
                    first
                        .iter_mut()
                        .zip(task.input(gamma))
                        .for_each(|(to, g)| *to *= g);
                }
            }
            Spread::Centres { sums } => {
                let sums = task.input(sums);
                first.iter_mut().zip(sums).for_each(|(to, s)| *to = s * share);
            }
            Spread::Slopes {
                moments,
                sums,
                epsilon,
            } => {
                let inverse = inverses(task.input(moments), epsilon);
                let sums = &task.input(sums)[c..];
                let pairs = sums.iter().zip(inverse);
                first
                    .iter_mut()
                    .zip(pairs)
                    .for_each(|(to, (s, i))| *to = s * i * share);
            }
        }
    }
}

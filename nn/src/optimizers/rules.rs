//! The rules, step by step: all that depends on the step alone becomes numbers first, so that what is
//! left is a loop over elements without branches.

use graph::Movement;

use super::{Optimizer, Rule};

impl Optimizer {
    /// The numbers of step `step` (from 1) at a learning rate, with the weight decay.
    pub fn at(&self, step: u64, learning_rate: f64) -> Movement {
        let (step, rate) = (step.max(1), learning_rate);
        let decay = self.weight_decay as f32;
        match self.rule {
            Rule::Sgd { momentum: 0.0, .. } => Movement::Plain {
                rate: rate as f32,
                decay,
            },
            Rule::Sgd {
                momentum,
                dampening,
                nesterov,
            } => Movement::Momentum {
                rate: rate as f32,
                momentum: momentum as f32,
                // The first velocity is the gradient itself, whatever the dampening.
                share: if step == 1 { 1.0 } else { (1.0 - dampening) as f32 },
                ahead: f32::from(u8::from(nesterov)),
                along: if nesterov { momentum as f32 } else { 1.0 },
                decay,
            },
            Rule::Adagrad {
                learning_rate_decay,
                epsilon,
            } => Movement::Adagrad {
                rate: (rate / (1.0 + (step - 1) as f64 * learning_rate_decay)) as f32,
                epsilon: epsilon as f32,
                decay,
            },
            Rule::Adadelta { rho, epsilon } => Movement::Adadelta {
                rate: rate as f32,
                rho: rho as f32,
                share: (1.0 - rho) as f32,
                epsilon: epsilon as f32,
                decay,
            },
            Rule::RmsProp {
                alpha,
                epsilon,
                momentum,
                centered,
            } => Movement::RmsProp {
                rate: rate as f32,
                alpha: alpha as f32,
                share: (1.0 - alpha) as f32,
                epsilon: epsilon as f32,
                momentum: (momentum != 0.0).then_some(momentum as f32),
                centered,
                decay,
            },
            Rule::Adam {
                beta1,
                beta2,
                epsilon,
            } => adam_at(step, [rate, beta1, beta2, epsilon], decay, 1.0),
            Rule::AdamW {
                beta1,
                beta2,
                epsilon,
            } => {
                let shrink = (1.0 - rate * self.weight_decay) as f32;
                adam_at(step, [rate, beta1, beta2, epsilon], 0.0, shrink)
            }
        }
    }
}

fn adam_at(step: u64, [rate, beta1, beta2, epsilon]: [f64; 4], decay: f32, shrink: f32) -> Movement {
    let correction = |beta: f64| 1.0 - beta.powf(step as f64);
    Movement::Adam {
        rate: (rate / correction(beta1)) as f32,
        share1: (1.0 - beta1) as f32,
        beta2: beta2 as f32,
        share2: (1.0 - beta2) as f32,
        unbias: correction(beta2).sqrt().recip() as f32,
        epsilon: epsilon as f32,
        decay,
        shrink,
    }
}

//! The rules as loops over elements: all that depends on the step alone is computed before, so that
//! a loop has no branches and vectorises.

use super::{Optimizer, Rule};

/// One step of `optimizer`; the slices have equal lengths and the rule's number of slots.
pub(super) fn update(
    optimizer: &Optimizer,
    step: u64,
    rate: f64,
    p: &mut [f32],
    g: &[f32],
    state: &mut [&mut [f32]],
) {
    let decay = optimizer.weight_decay as f32;
    match optimizer.rule {
        Rule::Sgd {
            momentum,
            dampening,
            nesterov,
        } => match state {
            [velocity] => {
                // The first velocity is the gradient itself, whatever the dampening.
                let share = if step == 1 { 1.0 } else { 1.0 - dampening };
                let (ahead, along) = if nesterov { (1.0, momentum) } else { (0.0, 1.0) };
                with_momentum(p, g, velocity, [momentum, share, ahead, along, rate], decay);
            }
            _ => descend(p, g, rate as f32, decay),
        },
        Rule::Adagrad {
            learning_rate_decay,
            epsilon,
        } => {
            let rate = rate / (1.0 + (step - 1) as f64 * learning_rate_decay);
            adagrad(p, g, state, [rate as f32, epsilon as f32, decay]);
        }
        Rule::Adadelta { rho, epsilon } => adadelta(p, g, state, [rate, rho, epsilon], decay),
        Rule::RmsProp {
            alpha,
            epsilon,
            momentum,
            centered,
        } => rms_prop(p, g, state, [rate, alpha, epsilon, momentum], centered, decay),
        Rule::Adam {
            beta1,
            beta2,
            epsilon,
        } => adam(p, g, state, [rate, beta1, beta2, epsilon], step, [decay, 1.0]),
        Rule::AdamW {
            beta1,
            beta2,
            epsilon,
        } => {
            let shrink = (1.0 - rate * optimizer.weight_decay) as f32;
            adam(p, g, state, [rate, beta1, beta2, epsilon], step, [0.0, shrink]);
        }
    }
}

fn descend(p: &mut [f32], g: &[f32], rate: f32, decay: f32) {
    for (p, &g) in p.iter_mut().zip(g) {
        *p -= rate * (g + decay * *p);
    }
}

fn with_momentum(p: &mut [f32], g: &[f32], velocity: &mut [f32], numbers: [f64; 5], decay: f32) {
    let [momentum, share, ahead, along, rate] = numbers.map(|n| n as f32);
    for ((p, &g), b) in p.iter_mut().zip(g).zip(velocity) {
        let g = g + decay * *p;
        *b = momentum * *b + share * g;
        *p -= rate * (ahead * g + along * *b);
    }
}

fn adagrad(p: &mut [f32], g: &[f32], state: &mut [&mut [f32]], numbers: [f32; 3]) {
    let [rate, epsilon, decay] = numbers;
    let [sum] = state else { return };
    for ((p, &g), s) in p.iter_mut().zip(g).zip(sum.iter_mut()) {
        let g = g + decay * *p;
        *s += g * g;
        *p -= rate * g / (s.sqrt() + epsilon);
    }
}

fn adadelta(p: &mut [f32], g: &[f32], state: &mut [&mut [f32]], numbers: [f64; 3], decay: f32) {
    let keep_out = 1.0 - numbers[1];
    let [rate, rho, epsilon] = numbers.map(|n| n as f32);
    let share = keep_out as f32;
    let [squares, moves] = state else { return };
    let slots = squares.iter_mut().zip(moves.iter_mut());
    for ((p, &g), (s, u)) in p.iter_mut().zip(g).zip(slots) {
        let g = g + decay * *p;
        *s = rho * *s + share * g * g;
        let change = g * ((*u + epsilon).sqrt() / (*s + epsilon).sqrt());
        *u = rho * *u + share * change * change;
        *p -= rate * change;
    }
}

fn rms_prop(
    p: &mut [f32],
    g: &[f32],
    state: &mut [&mut [f32]],
    numbers: [f64; 4],
    centered: bool,
    decay: f32,
) {
    let share = (1.0 - numbers[1]) as f32;
    let [rate, alpha, epsilon, momentum] = numbers.map(|n| n as f32);
    let scaled = |p: f32, g: f32, s: &mut f32, mean: &mut f32| {
        let g = g + decay * p;
        *s = alpha * *s + share * g * g;
        *mean += share * (g - *mean);
        (g, *s - *mean * *mean)
    };
    let plain = |p: f32, g: f32, s: &mut f32| {
        let g = g + decay * p;
        *s = alpha * *s + share * g * g;
        g / (s.sqrt() + epsilon)
    };
    let elements = p.iter_mut().zip(g);
    match state {
        [s] => elements
            .zip(s.iter_mut())
            .for_each(|((p, &g), s)| *p -= rate * plain(*p, g, s)),
        [s, mean] if centered => {
            for ((p, &g), (s, mean)) in elements.zip(s.iter_mut().zip(mean.iter_mut())) {
                let (g, variance) = scaled(*p, g, s, mean);
                *p -= rate * g / (variance.sqrt() + epsilon);
            }
        }
        [s, b] => {
            for ((p, &g), (s, b)) in elements.zip(s.iter_mut().zip(b.iter_mut())) {
                *b = momentum * *b + plain(*p, g, s);
                *p -= rate * *b;
            }
        }
        [s, mean, b] => {
            let slots = s.iter_mut().zip(mean.iter_mut()).zip(b.iter_mut());
            for ((p, &g), ((s, mean), b)) in elements.zip(slots) {
                let (g, variance) = scaled(*p, g, s, mean);
                *b = momentum * *b + g / (variance.sqrt() + epsilon);
                *p -= rate * *b;
            }
        }
        _ => {}
    }
}

/// `decays` is the decay that joins the gradient and the factor that shrinks the parameter.
fn adam(p: &mut [f32], g: &[f32], state: &mut [&mut [f32]], numbers: [f64; 4], step: u64, decays: [f32; 2]) {
    let [rate, beta1, beta2, epsilon] = numbers;
    let correction = |beta: f64| 1.0 - beta.powf(step as f64);
    let rate = (rate / correction(beta1)) as f32;
    let unbias = correction(beta2).sqrt().recip() as f32;
    let (share1, share2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
    let (beta2, epsilon) = (beta2 as f32, epsilon as f32);
    let [decay, shrink] = decays;
    let [m, v] = state else { return };
    for ((p, &g), (m, v)) in p.iter_mut().zip(g).zip(m.iter_mut().zip(v.iter_mut())) {
        let g = g + decay * *p;
        *m += share1 * (g - *m);
        *v = beta2 * *v + share2 * g * g;
        *p = shrink * *p - rate * *m / (v.sqrt() * unbias + epsilon);
    }
}

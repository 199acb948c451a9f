//! The rules as loops over slices.

use graph::Movement;

use super::{Clip, Store};
use crate::kernels::Isa;
use crate::per_isa;

/// Moves all of a store by one rule.
pub(super) fn step(isa: Isa, rule: &Movement, clip: Clip, store: &mut Store<'_>) {
    let (p, g) = (&mut *store.parameters, store.gradients);
    let [first, second, third] = &mut store.state;
    match rule {
        Movement::Plain { .. } => plain(isa, rule, clip, p, g),
        Movement::Momentum { .. } | Movement::Adagrad { .. } => one_slot(isa, rule, clip, p, g, first),
        Movement::Adadelta { .. } | Movement::Adam { .. } => two_slots(isa, rule, clip, p, g, first, second),
        Movement::RmsProp {
            momentum, centered, ..
        } => {
            let (mean, velocity) = match centered {
                true => (&mut **second, &mut **third),
                false => (&mut [][..], &mut **second),
            };
            match (centered, momentum) {
                (false, None) => rms_prop(isa, rule, clip, p, g, first),
                (false, Some(m)) => rms_prop_with_momentum(isa, rule, *m, clip, p, g, first, velocity),
                (true, None) => rms_prop_centered(isa, rule, clip, p, g, first, mean),
                (true, Some(m)) => {
                    rms_prop_centered_with_momentum(isa, rule, *m, clip, p, g, first, mean, velocity);
                }
            }
        }
    }
}

/// [`Movement::settled`].
#[inline(always)]
fn settled(x: f32) -> f32 {
    Movement::settled(x)
}

per_isa!(
    fn plain(rule: &Movement, clip: Clip, p: &mut [f32], g: &[f32]) {
        if let Movement::Plain { rate, decay } = *rule {
            for (p, &g) in p.iter_mut().zip(g) {
                *p -= rate * (clip.of(g) + decay * *p);
            }
        }
    }
);

per_isa!(
    fn one_slot(rule: &Movement, clip: Clip, p: &mut [f32], g: &[f32], slot: &mut [f32]) {
        let elements = p.iter_mut().zip(g).zip(slot);
        match *rule {
            Movement::Momentum {
                rate,
                momentum,
                share,
                ahead,
                along,
                decay,
            } => {
                for ((p, &g), b) in elements {
                    let g = clip.of(g) + decay * *p;
                    *b = settled(momentum * *b + share * g);
                    *p -= rate * (ahead * g + along * *b);
                }
            }
            Movement::Adagrad { rate, epsilon, decay } => {
                for ((p, &g), s) in elements {
                    let g = clip.of(g) + decay * *p;
                    *s += g * g;
                    *p -= rate * g / (s.sqrt() + epsilon);
                }
            }
            _ => {}
        }
    }
);

per_isa!(
    fn two_slots(
        rule: &Movement,
        clip: Clip,
        p: &mut [f32],
        g: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let elements = p.iter_mut().zip(g).zip(first).zip(second);
        match *rule {
            Movement::Adadelta {
                rate,
                rho,
                share,
                epsilon,
                decay,
            } => {
                for (((p, &g), s), u) in elements {
                    let g = clip.of(g) + decay * *p;
                    *s = settled(rho * *s + share * g * g);
                    let change = g * ((*u + epsilon).sqrt() / (*s + epsilon).sqrt());
                    *u = settled(rho * *u + share * change * change);
                    *p -= rate * change;
                }
            }
            Movement::Adam {
                rate,
                share1,
                beta2,
                share2,
                unbias,
                epsilon,
                decay,
                shrink,
            } => {
                for (((p, &g), m), v) in elements {
                    let g = clip.of(g) + decay * *p;
                    *m = settled(*m + share1 * (g - *m));
                    *v = settled(beta2 * *v + share2 * g * g);
                    *p = shrink * *p - rate * *m / (v.sqrt() * unbias + epsilon);
                }
            }
            _ => {}
        }
    }
);

/// What the four loops of RMSprop share: rate, alpha, share, epsilon, decay.
#[inline(always)]
fn rms_numbers(rule: &Movement) -> [f32; 5] {
    match *rule {
        Movement::RmsProp {
            rate,
            alpha,
            share,
            epsilon,
            decay,
            ..
        } => [rate, alpha, share, epsilon, decay],
        _ => [0.0; 5],
    }
}

per_isa!(
    fn rms_prop(rule: &Movement, clip: Clip, p: &mut [f32], g: &[f32], s: &mut [f32]) {
        let [rate, alpha, share, epsilon, decay] = rms_numbers(rule);
        for ((p, &g), s) in p.iter_mut().zip(g).zip(s) {
            let g = clip.of(g) + decay * *p;
            *s = settled(alpha * *s + share * g * g);
            *p -= rate * g / (s.sqrt() + epsilon);
        }
    }
);

per_isa!(
    fn rms_prop_with_momentum(
        rule: &Movement,
        momentum: f32,
        clip: Clip,
        p: &mut [f32],
        g: &[f32],
        s: &mut [f32],
        b: &mut [f32],
    ) {
        let [rate, alpha, share, epsilon, decay] = rms_numbers(rule);
        for (((p, &g), s), b) in p.iter_mut().zip(g).zip(s).zip(b) {
            let g = clip.of(g) + decay * *p;
            *s = settled(alpha * *s + share * g * g);
            *b = settled(momentum * *b + g / (s.sqrt() + epsilon));
            *p -= rate * *b;
        }
    }
);

per_isa!(
    fn rms_prop_centered(
        rule: &Movement,
        clip: Clip,
        p: &mut [f32],
        g: &[f32],
        s: &mut [f32],
        mean: &mut [f32],
    ) {
        let [rate, alpha, share, epsilon, decay] = rms_numbers(rule);
        for (((p, &g), s), mean) in p.iter_mut().zip(g).zip(s).zip(mean) {
            let g = clip.of(g) + decay * *p;
            *s = settled(alpha * *s + share * g * g);
            *mean = settled(*mean + share * (g - *mean));
            *p -= rate * g / ((*s - *mean * *mean).sqrt() + epsilon);
        }
    }
);

per_isa!(
    fn rms_prop_centered_with_momentum(
        rule: &Movement,
        momentum: f32,
        clip: Clip,
        p: &mut [f32],
        g: &[f32],
        s: &mut [f32],
        mean: &mut [f32],
        b: &mut [f32],
    ) {
        let [rate, alpha, share, epsilon, decay] = rms_numbers(rule);
        for ((((p, &g), s), mean), b) in p.iter_mut().zip(g).zip(s).zip(mean).zip(b) {
            let g = clip.of(g) + decay * *p;
            *s = settled(alpha * *s + share * g * g);
            *mean = settled(*mean + share * (g - *mean));
            *b = settled(momentum * *b + g / ((*s - *mean * *mean).sqrt() + epsilon));
            *p -= rate * *b;
        }
    }
);

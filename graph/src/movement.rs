//! How parameters move: one step of an optimizer as plain numbers, the words in which whoever knows the
//! rules asks whoever runs them fast.

/// One step of a rule: its numbers, and nothing that depends on an element. `decay` joins the gradient
/// as decay·p. The formulas stand at each variant, with g the gradient after the decay.
///
/// What a rule remembers (b, s, u, a, m, v) is [`settled`](Movement::settled) each time.
///
/// [`Movement::apply`] is the plain loop. Whoever runs it faster (an engine, on vectors and threads)
/// must give the same numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum Movement {
    /// p ← p − rate·g
    Plain { rate: f32, decay: f32 },
    /// b ← momentum·b + share·g; p ← p − rate·(ahead·g + along·b)
    Momentum {
        rate: f32,
        momentum: f32,
        share: f32,
        ahead: f32,
        along: f32,
        decay: f32,
    },
    /// s ← s + g²; p ← p − rate·g/(√s + epsilon)
    Adagrad { rate: f32, epsilon: f32, decay: f32 },
    /// s ← rho·s + share·g²; Δ = g·√(u + epsilon)/√(s + epsilon); u ← rho·u + share·Δ²; p ← p − rate·Δ
    Adadelta {
        rate: f32,
        rho: f32,
        share: f32,
        epsilon: f32,
        decay: f32,
    },
    /// s ← alpha·s + share·g²; where `centered` a ← a + share·(g − a) and s − a² takes the place of s
    /// below; with momentum b ← momentum·b + g/(√s + epsilon); p ← p − rate·b, else
    /// p ← p − rate·g/(√s + epsilon). The slots are s, a, b, those that there are.
    RmsProp {
        rate: f32,
        alpha: f32,
        share: f32,
        epsilon: f32,
        momentum: Option<f32>,
        centered: bool,
        decay: f32,
    },
    /// m ← m + share1·(g − m); v ← beta2·v + share2·g²; p ← shrink·p − rate·m/(√v·unbias + epsilon)
    Adam {
        rate: f32,
        share1: f32,
        beta2: f32,
        share2: f32,
        unbias: f32,
        epsilon: f32,
        decay: f32,
        shrink: f32,
    },
}

impl Movement {
    /// Numbers that it remembers for each parameter.
    pub fn slots(&self) -> usize {
        match self {
            Movement::Plain { .. } => 0,
            Movement::Momentum { .. } | Movement::Adagrad { .. } => 1,
            Movement::Adadelta { .. } | Movement::Adam { .. } => 2,
            Movement::RmsProp {
                momentum, centered, ..
            } => 1 + usize::from(momentum.is_some()) + usize::from(*centered),
        }
    }

    /// 0 in place of a number below the smallest normal one (1.2·10⁻³⁸), denormal numbers that is. What is remembered of a
    /// gradient that has become 0 fades with each step, and rounding would let it stay among these for ever; a processor
    /// takes them a hundred times more slowly than others.
    ///
    /// ```
    /// assert_eq!(graticule_graph::Movement::settled(1e-40), 0.0);
    /// assert_eq!(graticule_graph::Movement::settled(-1e-37), -1e-37);
    /// ```
    #[inline(always)]
    pub fn settled(x: f32) -> f32 {
        // NaN stays.
        if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x }
    }

    /// Moves the parameters: slices of equal lengths, and the rule's number of slots. Elements do not
    /// know of each other: any cut gives the same bits.
    pub fn apply(&self, p: &mut [f32], g: &[f32], state: &mut [&mut [f32]]) {
        for (i, (p, &g)) in p.iter_mut().zip(g).enumerate() {
            self.element(i, p, g, state);
        }
    }

    fn element(&self, i: usize, p: &mut f32, g: f32, state: &mut [&mut [f32]]) {
        match (*self, state) {
            (Movement::Plain { rate, decay }, _) => *p -= rate * (g + decay * *p),
            (
                Movement::Momentum {
                    rate,
                    momentum,
                    share,
                    ahead,
                    along,
                    decay,
                },
                [b, ..],
            ) => {
                let g = g + decay * *p;
                b[i] = Self::settled(momentum * b[i] + share * g);
                *p -= rate * (ahead * g + along * b[i]);
            }
            (Movement::Adagrad { rate, epsilon, decay }, [s, ..]) => {
                let g = g + decay * *p;
                s[i] += g * g;
                *p -= rate * g / (s[i].sqrt() + epsilon);
            }
            (
                Movement::Adadelta {
                    rate,
                    rho,
                    share,
                    epsilon,
                    decay,
                },
                [s, u, ..],
            ) => {
                let g = g + decay * *p;
                s[i] = Self::settled(rho * s[i] + share * g * g);
                let change = g * ((u[i] + epsilon).sqrt() / (s[i] + epsilon).sqrt());
                u[i] = Self::settled(rho * u[i] + share * change * change);
                *p -= rate * change;
            }
            (
                Movement::Adam {
                    rate,
                    share1,
                    beta2,
                    share2,
                    unbias,
                    epsilon,
                    decay,
                    shrink,
                },
                [m, v, ..],
            ) => {
                let g = g + decay * *p;
                m[i] = Self::settled(m[i] + share1 * (g - m[i]));
                v[i] = Self::settled(beta2 * v[i] + share2 * g * g);
                *p = shrink * *p - rate * m[i] / (v[i].sqrt() * unbias + epsilon);
            }
            (rms @ Movement::RmsProp { .. }, [s, rest @ ..]) => rms.rms_prop(i, p, g, &mut s[i], rest),
            _ => {}
        }
    }

    fn rms_prop(&self, i: usize, p: &mut f32, g: f32, s: &mut f32, rest: &mut [&mut [f32]]) {
        let Movement::RmsProp {
            rate,
            alpha,
            share,
            epsilon,
            momentum,
            centered,
            decay,
        } = *self
        else {
            return;
        };
        let g = g + decay * *p;
        *s = Self::settled(alpha * *s + share * g * g);
        let (means, velocities) = rest.split_at_mut(rest.len().min(usize::from(centered)));
        let spread = match means {
            [mean] => {
                mean[i] = Self::settled(mean[i] + share * (g - mean[i]));
                *s - mean[i] * mean[i]
            }
            _ => *s,
        };
        match (momentum, velocities) {
            (Some(momentum), [b, ..]) => {
                b[i] = Self::settled(momentum * b[i] + g / (spread.sqrt() + epsilon));
                *p -= rate * b[i];
            }
            _ => *p -= rate * g / (spread.sqrt() + epsilon),
        }
    }
}

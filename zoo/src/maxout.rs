//! A maxout network (Goodfellow, Warde-Farley, Mirza, Courville & Bengio, *Maxout networks*, 2013; row
//! A8): units that are the largest of five linear functions.
//!
//! For 28×28×1 and ten classes, as the paper's on MNIST without knowledge of images:
//!
//! | layer | output | parameters |
//! |---|---|---|
//! | flatten, dropout 0.2 | 784 | 0 |
//! | maxout 240 of 5, dropout 0.5 | 240 | 942,000 |
//! | maxout 240 of 5, dropout 0.5 | 240 | 289,200 |
//! | dense | 10 | 2,410 |

use nn::prelude::*;

use crate::Problem;
use crate::linear::flat;

const UNITS: usize = 240;
const PIECES: usize = 5;

pub(crate) fn outputs(x: &Symbol, outputs: usize) -> Result<Symbol, Problem> {
    let mut y = Dropout::new(0.2).on(&flat(x)?)?;
    for _ in 0..2 {
        y = Dropout::new(0.5).on(&Maxout::new(UNITS, PIECES).on(&y)?)?;
    }
    Ok(Dense::new(outputs).on(&y)?)
}

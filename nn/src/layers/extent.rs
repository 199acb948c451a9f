//! Sizes and paddings as people write them.

use serde::{Deserialize, Serialize};

/// Rows and columns; one number means both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent(pub [usize; 2]);

impl From<usize> for Extent {
    fn from(both: usize) -> Self {
        Self([both; 2])
    }
}

impl From<[usize; 2]> for Extent {
    fn from(rows_columns: [usize; 2]) -> Self {
        Self(rows_columns)
    }
}

/// How far an image is continued on its four sides (curriculum rows I11–I13).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Not at all: M − k + 1 rows come out.
    #[default]
    Valid,
    /// Half: as many rows come out as went in, divided by the stride and rounded up. An odd one
    /// goes below and right.
    Same,
    /// k − 1 on every side, so that every overlap counts: M + k − 1 rows come out.
    Full,
    /// `[top, bottom, left, right]`.
    Explicit([usize; 4]),
}

impl From<usize> for Padding {
    fn from(every_side: usize) -> Self {
        Self::Explicit([every_side; 4])
    }
}

impl From<[usize; 4]> for Padding {
    fn from(sides: [usize; 4]) -> Self {
        Self::Explicit(sides)
    }
}

impl Padding {
    /// The same at the two ends of a sequence, which has no rows above or below.
    pub(super) fn of_sequence(self) -> Self {
        match self {
            Self::Explicit([_, _, before, after]) => Self::Explicit([0, 0, before, after]),
            other => other,
        }
    }

    /// In the graph's terms, for a kernel of `size` rows and columns whose taps lie `dilation` apart.
    pub(super) fn of_window(self, size: [usize; 2], dilation: [usize; 2]) -> graph::ops::Padding {
        let around = |axis: usize| dilation[axis] * size[axis].saturating_sub(1);
        graph::ops::Padding::Explicit(match self {
            Self::Same => return graph::ops::Padding::Same,
            Self::Valid => [0; 4],
            Self::Full => [around(0), around(0), around(1), around(1)],
            Self::Explicit(sides) => sides,
        })
    }
}

/// What stands in the padding (curriculum row I12).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PadValue {
    /// 0
    #[default]
    Zero,
    /// One number.
    Constant(f32),
    /// The image mirrored at its edge, the edge itself repeated: `b a | a b c | c b`.
    Symmetric,
}

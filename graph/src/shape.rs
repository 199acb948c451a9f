//! Shapes: the lengths of a tensor's axes, outermost first.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// The lengths of a tensor's axes, row-major; images are `[N, H, W, C]`.
///
/// ```
/// use graticule_graph::Shape;
/// let image = Shape::new(&[1, 28, 28, 3]);
/// assert_eq!(image.elements(), 28 * 28 * 3);
/// assert_eq!(image.to_string(), "[1, 28, 28, 3]");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// A shape with these axis lengths.
    pub fn new(axes: &[usize]) -> Self {
        Self(axes.to_vec())
    }

    /// The shape of a single number, `[]`.
    pub fn scalar() -> Self {
        Self(Vec::new())
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Number of elements: the product of the axes (1 for a scalar).
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }

    /// Length of the last axis, 1 for a scalar.
    pub fn last_axis(&self) -> usize {
        self.0.last().copied().unwrap_or(1)
    }

    /// Product of all axes but the last, 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.0[..self.0.len().saturating_sub(1)].iter().product()
    }

    /// The shape that NumPy's broadcasting gives two operands, or `None`.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let axis = |s: &Shape, i: usize| match (i + s.rank()).checked_sub(rank) {
            Some(k) => s[k],
            None => 1,
        };
        let axes = (0..rank).map(|i| match (axis(self, i), axis(other, i)) {
            (a, b) if a == b => Some(a),
            (1, b) => Some(b),
            (a, 1) => Some(a),
            _ => None,
        });
        axes.collect::<Option<Vec<_>>>().map(Shape)
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<Vec<usize>> for Shape {
    fn from(axes: Vec<usize>) -> Self {
        Self(axes)
    }
}

impl<const K: usize> From<[usize; K]> for Shape {
    fn from(axes: [usize; K]) -> Self {
        Self(axes.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let s = |a: &[usize]| Shape::new(a);
        assert_eq!(s(&[4, 1, 3]).broadcast(&s(&[5, 1])), Some(s(&[4, 5, 3])));
        assert_eq!(s(&[2, 3]).broadcast(&s(&[])), Some(s(&[2, 3])));
        assert_eq!(s(&[2, 3]).broadcast(&s(&[2])), None);
    }
}

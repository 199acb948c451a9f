//! Tensors whose numbers are known: initialisers, constants, and what is computed of them alone.

use std::sync::Arc;

use super::proto::DataType;

/// Elements that one tensor may have (8 GiB of f32).
pub const MAX_ELEMENTS: usize = 1 << 31;
/// Axes that one tensor may have.
pub const MAX_RANK: usize = 8;

/// Numbers of a tensor: f32 for every floating-point type, i64 for whole numbers and truth values.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Floating-point numbers.
    Float(Arc<Vec<f32>>),
    /// Whole numbers; truth values are 0 and 1.
    Whole(Arc<Vec<i64>>),
}

/// A tensor with its numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// The type that the file gives it.
    pub kind: DataType,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers, one for each element.
    pub numbers: Numbers,
}

impl Host {
    /// Floating-point numbers.
    pub fn floats(values: Vec<f32>, shape: &[usize]) -> Self {
        Self {
            kind: DataType::Float,
            shape: shape.to_vec(),
            numbers: Numbers::Float(Arc::new(values)),
        }
    }

    /// Whole numbers.
    pub fn whole(values: Vec<i64>, shape: &[usize]) -> Self {
        Self {
            kind: DataType::Int64,
            shape: shape.to_vec(),
            numbers: Numbers::Whole(Arc::new(values)),
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        match &self.numbers {
            Numbers::Float(v) => v.len(),
            Numbers::Whole(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the numbers are floating-point ones.
    pub fn is_float(&self) -> bool {
        matches!(self.numbers, Numbers::Float(_))
    }

    /// All numbers as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.numbers {
            Numbers::Float(v) => v.to_vec(),
            Numbers::Whole(v) => v.iter().map(|&x| x as f32).collect(),
        }
    }

    /// All numbers as f64.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.numbers {
            Numbers::Float(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Numbers::Whole(v) => v.iter().map(|&x| x as f64).collect(),
        }
    }

    /// All numbers as whole ones, floating-point ones cut off behind the point.
    pub fn to_i64(&self) -> Vec<i64> {
        match &self.numbers {
            Numbers::Float(v) => v.iter().map(|&x| x as i64).collect(),
            Numbers::Whole(v) => v.to_vec(),
        }
    }

    /// The only number, if there is one.
    pub fn scalar(&self) -> Option<f32> {
        match &self.numbers {
            Numbers::Float(v) if v.len() == 1 => Some(v[0]),
            Numbers::Whole(v) if v.len() == 1 => Some(v[0] as f32),
            _ => None,
        }
    }

    /// The same numbers under another shape of as many elements.
    pub fn reshaped(&self, shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            ..self.clone()
        }
    }

    /// The elements whose places `index` gives, under a new shape.
    pub fn picked(&self, shape: &[usize], index: impl Iterator<Item = usize>) -> Self {
        let numbers = match &self.numbers {
            Numbers::Float(v) => Numbers::Float(Arc::new(index.map(|i| v[i]).collect())),
            Numbers::Whole(v) => Numbers::Whole(Arc::new(index.map(|i| v[i]).collect())),
        };
        Self {
            kind: self.kind,
            shape: shape.to_vec(),
            numbers,
        }
    }

    /// Axis i of the result is axis `order[i]`.
    pub fn transposed(&self, order: &[usize]) -> Self {
        if order.iter().enumerate().all(|(i, &axis)| i == axis) {
            return self.clone();
        }
        let own = strides(&self.shape);
        let shape: Vec<usize> = order.iter().map(|&axis| self.shape[axis]).collect();
        let steps: Vec<usize> = order.iter().map(|&axis| own[axis]).collect();
        self.picked(&shape, places(&shape, &steps))
    }

    /// Repeated to `shape`, to which it broadcasts.
    pub fn broadcast(&self, shape: &[usize]) -> Self {
        let own = strides(&self.shape);
        let missing = shape.len() - self.shape.len();
        let step = |axis: usize| match axis.checked_sub(missing) {
            Some(k) if self.shape[k] != 1 => own[k],
            _ => 0,
        };
        let steps: Vec<usize> = (0..shape.len()).map(step).collect();
        self.picked(shape, places(shape, &steps))
    }

    /// The same with another type; whole numbers become floating-point ones or the reverse.
    pub fn cast(&self, kind: DataType) -> Self {
        let numbers = match kind {
            DataType::Bool => Numbers::Whole(Arc::new(
                self.to_f64().iter().map(|&x| i64::from(x != 0.0)).collect(),
            )),
            _ if is_float(kind) => Numbers::Float(Arc::new(self.to_f32())),
            _ => Numbers::Whole(Arc::new(self.to_i64())),
        };
        Self {
            kind,
            shape: self.shape.clone(),
            numbers,
        }
    }
}

/// Whether numbers of this type have a point.
pub fn is_float(kind: DataType) -> bool {
    matches!(
        kind,
        DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16
    )
}

/// The number of elements of a shape that is not too large.
pub fn elements(shape: &[usize]) -> Option<usize> {
    let product = shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis))?;
    (shape.len() <= MAX_RANK && product <= MAX_ELEMENTS).then_some(product)
}

/// Row-major strides.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// For each element of `shape`, row-major, the place that `steps` lead to.
pub fn places<'a>(shape: &'a [usize], steps: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    let count: usize = shape.iter().product();
    let mut counters = vec![0; shape.len()];
    let mut at = 0;
    (0..count).map(move |_| {
        let place = at;
        for axis in (0..shape.len()).rev() {
            counters[axis] += 1;
            at += steps[axis];
            if counters[axis] < shape[axis] {
                break;
            }
            at -= steps[axis] * shape[axis];
            counters[axis] = 0;
        }
        place
    })
}

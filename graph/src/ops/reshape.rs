//! Ops that move elements without computing: reshape, transpose, concatenate, slice.

use ndarray::{ArrayD, IxDyn, Slice as Cut};
use serde::{Deserialize, Serialize};

use super::{Cost, Operation, operands};
use crate::{GraphError, Shape, Symbol};

/// One axis of a reshape's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// As long as this axis of the operand.
    Keep(usize),
    /// This long.
    Length(usize),
    /// Whatever is left; once at most.
    Rest,
}

/// What a reshape goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// These axes.
    Axes(Vec<Axis>),
    /// The shape of operand 1, whose numbers are not read.
    Like,
}

/// The same elements in row-major order under another shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reshape {
    /// The shape to go to.
    pub to: Target,
}

/// Axes in another order: axis i of the result is axis `order[i]` of the operand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Transpose {
    /// The operand's axes in the result's order.
    pub order: Vec<usize>,
}

/// Operands one after another along `axis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Concat {
    /// The axis that grows.
    pub axis: usize,
}

/// The part of operand 0 that came from operand `position` of a [`Concat`], whose operands follow
/// (their numbers are not read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConcatGradient {
    /// The axis that had grown.
    pub axis: usize,
    /// Which of the concatenated operands.
    pub position: usize,
}

/// Elements `start, start + step, …` (`length` of them) along `axis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slice {
    /// The axis that is cut.
    pub axis: usize,
    /// First element taken.
    pub start: usize,
    /// Number of elements taken.
    pub length: usize,
    /// Distance from one to the next.
    pub step: usize,
}

/// The transpose of [`Slice`]: operand 0 put back among zeros in the shape of operand 1 (not read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SliceGradient {
    /// The slice.
    pub slice: Slice,
}

impl Operation for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let axes = match &self.to {
            Target::Like => return like(self.name(), inputs),
            Target::Axes(axes) => axes,
        };
        let [x] = operands(self.name(), inputs)?;
        let mut lengths = Vec::new();
        for axis in axes {
            lengths.push(match *axis {
                Axis::Keep(k) => *x.get(k).ok_or_else(|| {
                    GraphError::shape(self.name(), format!("axis {k} is not an axis of {x}"))
                })?,
                Axis::Length(length) => length,
                Axis::Rest => 0,
            });
        }
        if let Some(rest) = axes.iter().position(|a| *a == Axis::Rest) {
            let others: usize = lengths
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != rest)
                .map(|(_, l)| l)
                .product();
            lengths[rest] = x.elements() / others.max(1);
        }
        let shape = Shape::from(lengths);
        if shape.elements() != x.elements() {
            return Err(GraphError::shape(
                self.name(),
                format!("{} elements of {x} do not fill {shape}", x.elements()),
            ));
        }
        Ok(shape)
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        if input == 1 {
            return Ok(None);
        }
        Ok(Some(Symbol::apply(
            Reshape { to: Target::Like },
            &[g, &node.inputs()[0]],
        )?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let values = inputs[0].iter().copied().collect();
        ArrayD::from_shape_vec(IxDyn(output), values).unwrap_or_default()
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
    fn reads(&self, input: usize) -> bool {
        input == 0
    }
}

fn like(op: &str, inputs: &[&Shape]) -> Result<Shape, GraphError> {
    let [x, like] = operands(op, inputs)?;
    if x.elements() != like.elements() {
        return Err(GraphError::shape(
            op,
            format!("{} elements of {x} do not fill {like}", x.elements()),
        ));
    }
    Ok(like.clone())
}

impl Operation for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        if sorted != (0..x.rank()).collect::<Vec<_>>() {
            return Err(GraphError::shape(
                self.name(),
                format!("order {:?} is not a permutation of the axes of {x}", self.order),
            ));
        }
        Ok(self.order.iter().map(|&axis| x[axis]).collect::<Vec<_>>().into())
    }
    fn gradient(&self, _: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        let mut order = vec![0; self.order.len()];
        for (i, &axis) in self.order.iter().enumerate() {
            order[axis] = i;
        }
        Ok(Some(Symbol::apply(Transpose { order }, &[g])?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], _: &Shape) -> ArrayD<f64> {
        inputs[0]
            .view()
            .permuted_axes(IxDyn(&self.order))
            .as_standard_layout()
            .to_owned()
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
}

impl Operation for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let Some(first) = inputs.first().filter(|x| self.axis < x.rank()) else {
            return Err(GraphError::shape(
                self.name(),
                format!("needs operands with an axis {}", self.axis),
            ));
        };
        let mut axes = first.to_vec();
        axes[self.axis] = 0;
        for x in inputs {
            let fits = x.rank() == axes.len() && (0..axes.len()).all(|i| i == self.axis || x[i] == first[i]);
            if !fits {
                return Err(GraphError::shape(
                    self.name(),
                    format!("{first} and {x} differ elsewhere than in axis {}", self.axis),
                ));
            }
            axes[self.axis] += x[self.axis];
        }
        Ok(axes.into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        let mut inputs = vec![g];
        inputs.extend(node.inputs());
        Ok(Some(Symbol::apply(
            ConcatGradient {
                axis: self.axis,
                position: input,
            },
            &inputs,
        )?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], _: &Shape) -> ArrayD<f64> {
        let views: Vec<_> = inputs.iter().map(|x| x.view()).collect();
        let joined = ndarray::concatenate(ndarray::Axis(self.axis), &views).unwrap_or_default();
        joined.as_standard_layout().to_owned()
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
}

impl Operation for ConcatGradient {
    fn name(&self) -> &'static str {
        "concat_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        match inputs.get(self.position + 1) {
            Some(part) => Ok((*part).clone()),
            None => Err(GraphError::shape(
                self.name(),
                format!("has no operand {}", self.position),
            )),
        }
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        if input > 0 {
            return Ok(None);
        }
        let zero = Symbol::constant(0.0, []);
        let zeros: Vec<Symbol> = node.inputs()[1..]
            .iter()
            .map(|x| zero.broadcast_like(x))
            .collect::<Result<_, _>>()?;
        let parts: Vec<&Symbol> = zeros
            .iter()
            .enumerate()
            .map(|(k, z)| if k == self.position { g } else { z })
            .collect();
        Ok(Some(Symbol::apply(Concat { axis: self.axis }, &parts)?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let start: usize = inputs[1..=self.position]
            .iter()
            .map(|x| x.shape()[self.axis])
            .sum();
        let cut = Cut::from(start..start + output[self.axis]);
        inputs[0].slice_axis(ndarray::Axis(self.axis), cut).to_owned()
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
    fn reads(&self, input: usize) -> bool {
        input == 0
    }
}

impl Slice {
    fn cut(&self) -> Cut {
        let end = self.start + (self.length - 1) * self.step + 1;
        Cut::new(self.start as isize, Some(end as isize), self.step as isize)
    }
}

impl Operation for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [x] = operands(self.name(), inputs)?;
        let mut axes = x.to_vec();
        let fits = self.length > 0
            && self.step > 0
            && axes
                .get(self.axis)
                .is_some_and(|&l| self.start + (self.length - 1) * self.step < l);
        if !fits {
            let message = format!(
                "{} elements from {} in steps of {} do not lie in axis {} of {x}",
                self.length, self.start, self.step, self.axis
            );
            return Err(GraphError::shape(self.name(), message));
        }
        axes[self.axis] = self.length;
        Ok(axes.into())
    }
    fn gradient(&self, node: &Symbol, g: &Symbol, _: usize) -> Result<Option<Symbol>, GraphError> {
        Ok(Some(Symbol::apply(
            SliceGradient { slice: *self },
            &[g, &node.inputs()[0]],
        )?))
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], _: &Shape) -> ArrayD<f64> {
        inputs[0]
            .slice_axis(ndarray::Axis(self.axis), self.cut())
            .as_standard_layout()
            .to_owned()
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
}

impl Operation for SliceGradient {
    fn name(&self) -> &'static str {
        "slice_gradient"
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, GraphError> {
        let [_, like] = operands(self.name(), inputs)?;
        Ok(like.clone())
    }
    fn gradient(&self, _: &Symbol, g: &Symbol, input: usize) -> Result<Option<Symbol>, GraphError> {
        if input == 1 {
            Ok(None)
        } else {
            Ok(Some(Symbol::apply(self.slice, &[g])?))
        }
    }
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Shape) -> ArrayD<f64> {
        let mut result = ArrayD::zeros(IxDyn(output));
        result
            .slice_axis_mut(ndarray::Axis(self.slice.axis), self.slice.cut())
            .assign(inputs[0]);
        result
    }
    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::default()
    }
    fn reads(&self, input: usize) -> bool {
        input == 0
    }
}

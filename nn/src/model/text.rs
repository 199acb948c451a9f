//! Networks written as text: one line of layers, or a TOML file for any directed acyclic graph.
//!
//! ```
//! use graticule_nn::model::text;
//! let model = text::from_line("conv 6 5 same tanh, avgpool 2, flatten, dense classes", &[28, 28, 1], Some(10))?;
//! assert_eq!(model.output().shape()[..], [1, 10]);
//! assert_eq!(model.parameters()[0].name, "conv2d.weight");
//! # Ok::<(), text::TextError>(())
//! ```
//!
//! In a line, layers are divided by commas. A layer is its type, its numbers in the order of the
//! table, and options: `stride=2`, `nobias`, an activation's name. Two numbers for rows and columns
//! are written `3x5`. `name=a` names a layer, `from=a` (or `from=a+b`) says what it reads.
//!
//! In TOML each layer is a `[[layer]]` table with the same names:
//!
//! ```
//! let text = r#"
//! name = "two paths"
//! input = [8, 8, 1]
//!
//! [[layer]]
//! type = "conv"
//! name = "left"
//! filters = 4
//! kernel = 3
//! padding = "same"
//!
//! [[layer]]
//! type = "conv"
//! name = "right"
//! from = "input"
//! filters = 4
//! kernel = [1, 5]
//! padding = "same"
//!
//! [[layer]]
//! type = "add"
//! from = ["left", "right"]
//!
//! [[layer]]
//! type = "globalavgpool"
//!
//! [[layer]]
//! type = "dense"
//! units = "classes"
//! "#;
//! let model = graticule_nn::model::text::from_toml(text, None, Some(3))?;
//! assert_eq!(model.output().shape()[..], [1, 3]);
//! # Ok::<(), graticule_nn::model::text::TextError>(())
//! ```
//!
//! Two further tables say what no layer type does: `type = "op"` is one operation of the graph with
//! its attributes, `type = "parameter"` numbers that such an operation reads. A parameter's name is
//! its layer's path and its role; `layer`, in an `op`, says which layer the operation belongs to.
//!
//! ```
//! let text = r#"
//! input = [4]
//!
//! [[layer]]
//! type = "parameter"
//! name = "gate.factor"
//! shape = [4]
//! init = "constant:1"
//!
//! [[layer]]
//! type = "op"
//! layer = "gate"
//! from = ["input", "gate.factor"]
//! op = { op = "binary", kind = "multiply" }
//! "#;
//! let model = graticule_nn::model::text::from_toml(text, None, None)?;
//! assert_eq!(model.parameters()[0].name, "gate.factor");
//! # Ok::<(), graticule_nn::model::text::TextError>(())
//! ```
//!
//! With them any model of one input and one output can be written as TOML ([`to_toml`]), edited and read.

mod build;
mod error;
mod fields;
mod layers;
mod line;
mod plain;
mod tables;
mod write;

pub use error::TextError;
pub use layers::{LAYERS, LayerType, describe};
pub use write::to_toml;

use error::Source;

use super::Model;

/// Longest text that is read, in bytes.
pub const MAX_TEXT: usize = 4 << 20;
/// Most layers that a text may have.
pub const MAX_LAYERS: usize = super::architecture::MAX_NODES;

/// The network of a line such as `conv 6 5 same tanh, avgpool 2, flatten, dense 10`.
///
/// `input` is the shape of one sample, `outputs` the number that the data asks for, which the word
/// `classes` stands for; when it is given, the last layer must have as many.
///
/// # Errors
/// [`TextError`] points at the word: what was found, what is allowed.
pub fn from_line(text: &str, input: &[usize], outputs: Option<usize>) -> Result<Model, TextError> {
    let source = Source::new(text)?;
    let specs = line::parse(source)?;
    build::build(source, "layers", &specs, input, outputs)
}

/// The network of a TOML text. The input shape stands in the text (`input = [28, 28, 1]`) or comes
/// from the data, or both if they are equal; the name is the text's `name`, else `model`.
///
/// # Errors
/// [`TextError`] points at the line: what was found, what is allowed.
pub fn from_toml(text: &str, input: Option<&[usize]>, outputs: Option<usize>) -> Result<Model, TextError> {
    let source = Source::new(text)?;
    let file = tables::parse(source)?;
    let input = file.input_shape(source, input)?;
    build::build(source, &file.name, &file.layers, &input, outputs)
}

#[cfg(test)]
mod tests;

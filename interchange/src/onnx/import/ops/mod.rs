//! The operators that are known, by family, and the rule that writes each into the graph.

mod activations;
mod attention;
mod binary;
mod conv;
mod elementwise;
mod indices;
mod losses;
mod norm;
mod pad;
mod pool;
mod product;
mod recurrent;
mod reduce;
mod resize;
mod shapes;
mod softmax;

use super::importer::{Importer, Value};
use super::node::Node;
use super::{DataType, Trouble};

pub use elementwise::cast_kind;
pub use shapes::{is_idle_expand, lengths, new_shape, permutation, resolved, sliced_host};

/// Writes a node into the graph and gives its results.
pub type Rule = fn(&mut Importer, &Node) -> Result<Vec<Value>, Trouble>;

type Family = (&'static str, &'static [(&'static str, Rule)]);

const FAMILIES: &[Family] = &[
    ("activations", activations::RULES),
    ("functions of one tensor", elementwise::RULES),
    ("functions of several tensors", binary::RULES),
    ("convolutions", conv::RULES),
    ("poolings", pool::RULES),
    ("normalisations", norm::RULES),
    ("products", product::RULES),
    ("reductions", reduce::RULES),
    ("softmaxes", softmax::RULES),
    ("losses", losses::RULES),
    ("shapes and movements", shapes::RULES),
    ("paddings and blocks", pad::RULES),
    ("indices", indices::RULES),
    ("resizings", resize::RULES),
    ("recurrent layers", recurrent::RULES),
    ("attention", attention::RULES),
];

/// Operators that are computed during the import alone.
const FOLDED: [&str; 5] = ["Constant", "Shape", "Size", "ConstantOfShape", "Range"];

fn only_constants(cx: &mut Importer, node: &Node) -> Result<Vec<Value>, Trouble> {
    let live = |name: &&String| matches!(cx.values.get(*name), Some(Value::Live(_)));
    let operand = node.proto.input.iter().find(live).cloned();
    Err(Trouble::NeedsNumbers {
        operand: operand.unwrap_or_default(),
    })
}

/// The rule of an operator.
///
/// # Errors
/// [`Trouble::Unknown`] lists what is known: the family of the operator with the nearest name.
pub fn rule(op: &str, domain: &str) -> Result<Rule, Trouble> {
    if domain == "ai.onnx" {
        if FOLDED.contains(&op) {
            return Ok(only_constants);
        }
        let mut all = FAMILIES.iter().flat_map(|(_, rules)| rules.iter());
        if let Some((_, rule)) = all.find(|(name, _)| *name == op) {
            return Ok(*rule);
        }
    }
    let names: Vec<String> = FAMILIES
        .iter()
        .flat_map(|(_, rules)| rules.iter().map(|(n, _)| n.to_lowercase()))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let near = nn::model::nearest(op, &names)
        .first()
        .copied()
        .filter(|_| domain == "ai.onnx");
    let of = |(_, rules): &&Family| {
        rules
            .iter()
            .any(|(name, _)| Some(name.to_lowercase().as_str()) == near)
    };
    let (family, known) = match FAMILIES.iter().find(of) {
        Some((family, rules)) => (
            format!("{family} of ai.onnx"),
            rules.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
        ),
        None => (
            "families of ai.onnx".into(),
            FAMILIES.iter().map(|(family, _)| *family).collect(),
        ),
    };
    Err(Trouble::Unknown {
        family,
        known: known.join(", "),
    })
}

/// Whether numbers of this type are whole.
fn whole(kind: DataType) -> bool {
    !crate::onnx::host::is_float(kind) && kind != DataType::Bool
}

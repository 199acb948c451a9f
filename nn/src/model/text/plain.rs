//! The two tables that are no layer types: `op`, one operation of the graph with its attributes, and
//! `parameter`, numbers that an `op` reads. With them a text can say any network.

use std::ops::Range;

use graph::ops::{Init, Op, Parameter};
use graph::{Shape, Symbol};

use super::error::{Source, TextError};
use super::fields::{LayerSpec, Raw, Spanned, check_name, whole};
use crate::model::architecture::{MAX_RANK, bounded, elements};
use crate::model::suggest::did_you_mean;
use crate::{Fans, Initialiser};

/// The type of a table that holds an operation.
pub(super) const OP: &str = "op";
/// The type of a table that holds a parameter.
pub(super) const PARAMETER: &str = "parameter";

/// One operation, as written.
#[derive(Debug)]
pub(super) struct PlainOp {
    pub(super) op: Op,
    pub(super) name: Option<String>,
    /// The layer that it belongs to.
    pub(super) layer: Option<String>,
    /// What it reads; the layer before if nothing is said.
    pub(super) from: Option<Spanned<Vec<String>>>,
}

/// One parameter, as written.
#[derive(Debug)]
pub(super) struct PlainParameter {
    pub(super) parameter: Parameter,
    pub(super) name: String,
    /// The layer that it belongs to.
    pub(super) layer: Option<String>,
}

/// The fields of a table by name.
struct Fields<'a> {
    source: Source<'a>,
    spec: &'a LayerSpec,
}

impl<'a> Fields<'a> {
    /// The table's fields, all of which are among `known`.
    fn of(source: Source<'a>, spec: &'a LayerSpec, known: &[&str]) -> Result<Self, TextError> {
        let kind = &spec.kind.value;
        if let Some(word) = spec.bare.first() {
            let message = format!(
                "`{kind}` does not take `{}`; it takes {}",
                word.value.shown(),
                known.join(", ")
            );
            return Err(source.error(word.place.clone(), message));
        }
        for (at, (key, _)) in spec.keyed.iter().enumerate() {
            if !known.contains(&key.value.as_str()) {
                let message = format!(
                    "`{kind}` has no option `{}`{}\nits options: {}",
                    key.value,
                    did_you_mean(&key.value, known),
                    known.join(", ")
                );
                return Err(source.error(key.place.clone(), message));
            }
            if spec.keyed[..at]
                .iter()
                .any(|(before, _)| before.value == key.value)
            {
                let message = format!("`{}` is given twice", key.value);
                return Err(source.error(key.place.clone(), message));
            }
        }
        Ok(Self { source, spec })
    }

    fn get(&self, name: &str) -> Option<&'a Spanned<Raw>> {
        let found = self.spec.keyed.iter().find(|(key, _)| key.value == name);
        found.map(|(_, value)| value)
    }

    fn wrong<T>(&self, name: &str, at: Range<usize>, expected: &str) -> Result<T, TextError> {
        let found = self.get(name).map(|v| v.value.shown()).unwrap_or_default();
        let message = format!("`{name}` must be {expected}; found `{found}`");
        Err(self.source.error(at, message))
    }

    fn needs<T>(&self, name: &str, expected: &str) -> Result<T, TextError> {
        let message = format!("`{}` needs its {name}: {expected}", self.spec.kind.value);
        Err(self.source.error(self.spec.place.clone(), message))
    }

    /// A text, for example a name.
    fn word(&self, name: &str) -> Result<Option<(&'a str, Range<usize>)>, TextError> {
        match self.get(name) {
            None => Ok(None),
            Some(Spanned {
                value: Raw::Word(word),
                place,
            }) => Ok(Some((word, place.clone()))),
            Some(other) => self.wrong(name, other.place.clone(), "a text in quotes"),
        }
    }

    /// The name of a layer.
    fn layer(&self, name: &str) -> Result<Option<String>, TextError> {
        let Some((word, place)) = self.word(name)? else {
            return Ok(None);
        };
        check_name(self.source, word, &place)?;
        Ok(Some(word.to_string()))
    }
}

impl PlainOp {
    pub(super) fn read(source: Source, spec: &LayerSpec) -> Result<Self, TextError> {
        let fields = Fields::of(source, spec, &["op", "name", "from", "layer"])?;
        let expected = "its attributes in braces, `op = { op = \"unary\", kind = \"square\" }`";
        let op = match fields.get("op") {
            None => return fields.needs("op", expected),
            Some(Spanned {
                value: Raw::Table(table),
                place,
            }) => {
                let op: Op = serde_json::from_value(table.clone()).map_err(|e| {
                    source.error(
                        place.clone(),
                        format!("these are not the attributes of an operation: {e}"),
                    )
                })?;
                bounded(&op, || op.name().to_string())
                    .map_err(|e| source.error(place.clone(), e.to_string()))?;
                op
            }
            Some(other) => return fields.wrong("op", other.place.clone(), expected),
        };
        if matches!(op, Op::Input(_) | Op::Parameter(_)) {
            let message = "inputs stand at the top of the file (`input = [28, 28, 1]`), parameters in a table of `type = \"parameter\"`";
            return Err(source.error(spec.place.clone(), message));
        }
        let from = match fields.get("from") {
            None => None,
            Some(found) => {
                let names = match &found.value {
                    Raw::Word(one) => vec![one.clone()],
                    Raw::Words(several) => several.clone(),
                    _ => {
                        return fields.wrong("from", found.place.clone(), "the names of what it reads");
                    }
                };
                Some(Spanned {
                    value: names,
                    place: found.place.clone(),
                })
            }
        };
        Ok(Self {
            op,
            name: fields.layer("name")?,
            layer: fields.layer("layer")?,
            from,
        })
    }
}

impl PlainParameter {
    pub(super) fn read(source: Source, spec: &LayerSpec) -> Result<Self, TextError> {
        let known = ["name", "shape", "init", "trainable", "layer", "role"];
        let fields = Fields::of(source, spec, &known)?;
        let Some(name) = fields.layer("name")? else {
            return fields.needs("name", "what the ops that read it write in `from`");
        };
        let (above, own) = split(&name);
        // With a role of its own, the name tells nothing of the layer.
        let (role, layer) = match fields.layer("role")? {
            Some(role) => (role, fields.layer("layer")?),
            None => (
                own.to_string(),
                fields.layer("layer")?.or(above.map(str::to_string)),
            ),
        };
        let trainable = match fields.get("trainable") {
            None => true,
            Some(Spanned {
                value: Raw::Switch(on),
                ..
            }) => *on,
            Some(other) => return fields.wrong("trainable", other.place.clone(), "true or false"),
        };
        let parameter = Parameter {
            role,
            shape: shape(&fields)?,
            init: init(&fields)?,
            trainable,
        };
        Ok(Self {
            parameter,
            name,
            layer,
        })
    }

    /// The parameter's node, in the scope that is open.
    pub(super) fn node(&self) -> Symbol {
        let Parameter {
            role,
            shape,
            init,
            trainable,
        } = &self.parameter;
        match trainable {
            true => Symbol::parameter(role, shape.clone(), *init),
            false => Symbol::state(role, shape.clone(), *init),
        }
    }
}

/// A parameter's full name as the layer's path, if any, and its role.
pub(super) fn split(name: &str) -> (Option<&str>, &str) {
    match name.rsplit_once('.') {
        Some((layer, role)) if !layer.is_empty() && !role.is_empty() => (Some(layer), role),
        _ => (None, name),
    }
}

fn shape(fields: &Fields) -> Result<Shape, TextError> {
    let expected = "a list of whole numbers, such as `[3, 3, 16, 32]`";
    let Some(found) = fields.get("shape") else {
        return fields.needs("shape", expected);
    };
    let axes: Option<Vec<usize>> = match &found.value {
        Raw::Numbers(list) if list.len() <= MAX_RANK => {
            list.iter().map(|&n| whole(n, 1..=u32::MAX as usize)).collect()
        }
        _ => None,
    };
    match axes.map(Shape::from) {
        Some(shape) if elements(&shape).is_some() => Ok(shape),
        _ => fields.wrong("shape", found.place.clone(), expected),
    }
}

fn init(fields: &Fields) -> Result<Init, TextError> {
    let Some((word, place)) = fields.word("init")? else {
        return Ok(Init::default());
    };
    match word.parse() {
        Ok(rule @ (Initialiser::Constant(_) | Initialiser::Normal(_) | Initialiser::Uniform(_))) => {
            let none = Fans {
                fan_in: 1,
                fan_out: 1,
            };
            Ok(rule.resolve(none))
        }
        _ => fields.wrong("init", place, "constant:0.1, normal:0.02 or uniform:0.05"),
    }
}

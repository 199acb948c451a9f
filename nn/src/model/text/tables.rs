//! Reading the TOML form into layers.

use std::ops::Range;

use toml::Spanned as Located;
use toml::de::{DeTable, DeValue};

use super::MAX_LAYERS;
use super::error::{Source, TextError};
use super::fields::{LayerSpec, Raw, Spanned};
use crate::model::suggest::did_you_mean;

/// A TOML file as it was written.
pub(super) struct File {
    pub(super) name: String,
    pub(super) layers: Vec<LayerSpec>,
    input: Option<Spanned<Vec<usize>>>,
}

const KEYS: [&str; 3] = ["name", "input", "layer"];

pub(super) fn parse(source: Source) -> Result<File, TextError> {
    let table = DeTable::parse(source.text)
        .map_err(|error| source.error(error.span().unwrap_or(0..0), error.message().trim().to_string()))?;
    let mut file = File {
        name: "model".into(),
        layers: Vec::new(),
        input: None,
    };
    for (key, value) in table.get_ref() {
        let wrong = |message: &str| source.error(value.span(), message);
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("name", DeValue::String(name)) => file.name = name.to_string(),
            ("name", _) => return Err(wrong("`name` must be a text in quotes")),
            ("input", shape) => file.input = Some(input(source, shape, value.span())?),
            ("layer", DeValue::Array(layers)) => {
                file.layers = layers
                    .iter()
                    .map(|l| layer(source, l))
                    .collect::<Result<_, _>>()?;
            }
            ("layer", _) => {
                return Err(wrong(
                    "layers are written as `[[layer]]` tables, with two brackets",
                ));
            }
            (other, _) => {
                let hint = did_you_mean(other, &KEYS);
                let message = format!("`{other}` is not known here{hint}\nknown: name, input, [[layer]]");
                return Err(source.error(key.span(), message));
            }
        }
    }
    if file.layers.is_empty() || file.layers.len() > MAX_LAYERS {
        let message = format!(
            "found {} `[[layer]]` tables, expected 1 to {MAX_LAYERS}",
            file.layers.len()
        );
        return Err(source.error(0..0, message));
    }
    Ok(file)
}

impl File {
    /// The declared input shape, or that of the data.
    pub(super) fn input_shape(
        &self,
        source: Source,
        data: Option<&[usize]>,
    ) -> Result<Vec<usize>, TextError> {
        match (&self.input, data) {
            (Some(declared), Some(data)) if declared.value != data => {
                let message = format!(
                    "`input` is {:?}, but the data has samples of {data:?}",
                    declared.value
                );
                Err(source.error(declared.place.clone(), message))
            }
            (Some(declared), _) => Ok(declared.value.clone()),
            (None, Some(data)) => Ok(data.to_vec()),
            (None, None) => {
                let message =
                    "the input shape is not known; add `input = [28, 28, 1]` (rows, columns, channels)";
                Err(source.error(0..0, message))
            }
        }
    }
}

fn input(source: Source, value: &DeValue, place: Range<usize>) -> Result<Spanned<Vec<usize>>, TextError> {
    let axis = |v: &Located<DeValue>| match raw(v.get_ref()) {
        Some(Raw::Number(n)) if n >= 1.0 && n.fract() == 0.0 && n <= f64::from(1 << 24) => Some(n as usize),
        _ => None,
    };
    let axes = value
        .as_array()
        .and_then(|a| a.iter().map(axis).collect::<Option<Vec<_>>>());
    match axes {
        Some(value) if (1..=4).contains(&value.len()) => Ok(Spanned { value, place }),
        _ => Err(source.error(
            place,
            "`input` must be the shape of one sample: `[features]` or `[rows, columns, channels]`",
        )),
    }
}

fn layer(source: Source, value: &Located<DeValue>) -> Result<LayerSpec, TextError> {
    let Some(table) = value.get_ref().as_table() else {
        return Err(source.error(
            value.span(),
            "a layer is a table: `[[layer]]`, then `type = \"conv\"`",
        ));
    };
    let mut kind = None;
    let mut keyed: Vec<(Spanned<String>, Spanned<Raw>)> = Vec::new();
    for (key, value) in table {
        let place = value.span();
        let read = raw(value.get_ref());
        if key.get_ref() == "type" {
            let Some(Raw::Word(value)) = read else {
                return Err(source.error(place, "`type` must be the name of a layer in quotes"));
            };
            kind = Some(Spanned { value, place });
            continue;
        }
        let Some(value) = read else {
            let message = "expected a number, a text, true or false, or a list of numbers or of texts";
            return Err(source.error(place, message));
        };
        let key = Spanned {
            value: key.get_ref().to_string(),
            place: key.span(),
        };
        keyed.push((key, Spanned { value, place }));
    }
    // As written: a table comes sorted by name.
    keyed.sort_by_key(|(key, _)| key.place.start);
    let place = value.span();
    let kind = kind.ok_or_else(|| source.error(place.clone(), "this layer has no `type`"))?;
    Ok(LayerSpec {
        place: kind.place.clone(),
        kind,
        bare: Vec::new(),
        keyed,
    })
}

fn raw(value: &DeValue) -> Option<Raw> {
    Some(match value {
        DeValue::String(text) => Raw::Word(text.to_string()),
        DeValue::Integer(i) => Raw::Number(i64::from_str_radix(i.as_str(), i.radix()).ok()? as f64),
        DeValue::Float(f) => Raw::Number(f.as_str().parse().ok()?),
        DeValue::Boolean(b) => Raw::Switch(*b),
        DeValue::Array(items) => {
            let items: Option<Vec<Raw>> = items.iter().map(|i| raw(i.get_ref())).collect();
            return list(items?);
        }
        DeValue::Table(table) => {
            let fields = table
                .iter()
                .map(|(k, v)| Some((k.get_ref().to_string(), json(v.get_ref())?)));
            Raw::Table(serde_json::Value::Object(fields.collect::<Option<_>>()?))
        }
        _ => return None,
    })
}

/// What stands within braces, to be read as an operation.
fn json(value: &DeValue) -> Option<serde_json::Value> {
    use serde_json::Value;
    Some(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(i) => {
            let i = i64::from_str_radix(i.as_str(), i.radix()).ok()?;
            u64::try_from(i).map_or(Value::from(i), Value::from)
        }
        DeValue::Float(f) => Value::Number(serde_json::Number::from_f64(f.as_str().parse().ok()?)?),
        DeValue::Boolean(b) => Value::from(*b),
        DeValue::Array(items) => {
            let items = items.iter().map(|i| json(i.get_ref()));
            Value::Array(items.collect::<Option<_>>()?)
        }
        DeValue::Table(fields) => {
            let fields = fields
                .iter()
                .map(|(k, v)| Some((k.get_ref().to_string(), json(v.get_ref())?)));
            Value::Object(fields.collect::<Option<_>>()?)
        }
        DeValue::Datetime(_) => return None,
    })
}

fn list(items: Vec<Raw>) -> Option<Raw> {
    let numbers = items.iter().map(|i| match i {
        Raw::Number(n) => Some(*n),
        _ => None,
    });
    if let Some(numbers) = numbers.collect::<Option<Vec<f64>>>() {
        return Some(Raw::Numbers(numbers));
    }
    let words = items.into_iter().map(|i| match i {
        Raw::Word(w) => Some(w),
        _ => None,
    });
    words.collect::<Option<Vec<String>>>().map(Raw::Words)
}

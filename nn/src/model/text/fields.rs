//! The fields of a layer: what each may hold, and reading it from either way of writing.

use std::collections::BTreeMap;
use std::ops::Range;

use super::error::{Source, TextError};
use super::layers::LayerType;
use crate::layers::Padding;
use crate::model::suggest::did_you_mean;
use crate::{Activation, Initialiser};

/// A layer as it was written, before its type is known.
#[derive(Debug, Clone)]
pub(super) struct LayerSpec {
    /// Type, as written.
    pub(super) kind: Spanned<String>,
    /// Numbers and words without a key, in order.
    pub(super) bare: Vec<Spanned<Raw>>,
    /// `key = value`, in order.
    pub(super) keyed: Vec<(Spanned<String>, Spanned<Raw>)>,
    /// All of it.
    pub(super) place: Range<usize>,
}

/// Something and the bytes where it stands.
#[derive(Debug, Clone)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) place: Range<usize>,
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    Number(f64),
    Word(String),
    Switch(bool),
    Numbers(Vec<f64>),
    Words(Vec<String>),
    /// A table in braces.
    Table(serde_json::Value),
}

impl Raw {
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Number(n) => format!("{n}"),
            Self::Word(w) => w.clone(),
            Self::Switch(s) => s.to_string(),
            Self::Numbers(n) => format!("{n:?}"),
            Self::Words(w) => format!("{w:?}"),
            Self::Table(t) => t.to_string(),
        }
    }
}

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A whole number from 1 to a million, or `classes`.
    Count,
    /// A whole number from 0 on.
    Whole,
    /// Rows and columns: `3` or `3x5`, from 1 to 4096.
    Extent,
    /// Any number.
    Number,
    /// `valid`, `same`, `full`, a number for all sides or four for top, bottom, left, right.
    Padding,
    /// The name of an activation.
    Activation,
    /// The rule by which the weights are first filled.
    Init,
    /// True or false. In a line, the word that changes it from its default.
    Switch(&'static str),
}

impl FieldKind {
    /// What is expected, in words.
    fn expected(self) -> &'static str {
        match self {
            Self::Count => "a whole number from 1 to 1048576, or `classes`",
            Self::Whole => "a whole number from 0 to 1048576",
            Self::Extent => {
                "a whole number from 1 to 4096, or two for rows and columns (`3x5`, in TOML `[3, 5]`)"
            }
            Self::Number => "a number",
            Self::Padding => {
                "valid, same, full, a whole number, or four for top, bottom, left and right (`0x1x0x1`, in TOML `[0, 1, 0, 1]`)"
            }
            Self::Activation => {
                "an activation: relu, leaky_relu:0.01, elu:1, prelu, relu6, sigmoid, tanh, scaled_tanh, softmax, gelu, silu, softplus, linear"
            }
            Self::Init => {
                "a rule for the first weights: zeros, constant:0.1, normal:0.02, uniform:0.05, glorot_uniform, glorot_normal, he_normal, he_uniform, fan_in"
            }
            Self::Switch(_) => "true or false",
        }
    }

    fn takes_numbers(self) -> bool {
        matches!(self, Self::Count | Self::Whole | Self::Extent | Self::Number)
    }
}

/// One field of a layer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub kind: FieldKind,
    /// Whether it must be given.
    pub required: bool,
}

/// A value that fits its field.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Count(usize),
    Extent([usize; 2]),
    Number(f64),
    Padding(Padding),
    Activation(Activation),
    Init(Initialiser),
    Switch(bool),
}

const LARGEST: usize = 1 << 20;
const LARGEST_EXTENT: usize = 4096;

/// The fields of one layer, checked.
#[derive(Debug, Clone, Default)]
pub(super) struct Arguments {
    values: BTreeMap<&'static str, Value>,
    pub(super) name: Option<String>,
    /// The layers that it reads; empty means the one before.
    pub(super) from: Vec<String>,
    pub(super) from_place: Range<usize>,
}

impl Arguments {
    /// A count, or 1.
    pub(super) fn count(&self, field: &str) -> usize {
        self.count_or(field, 1)
    }

    pub(super) fn count_or(&self, field: &str, default: usize) -> usize {
        match self.values.get(field) {
            Some(Value::Count(n)) => *n,
            _ => default,
        }
    }

    pub(super) fn extent(&self, field: &str) -> Option<[usize; 2]> {
        match self.values.get(field) {
            Some(Value::Extent(e)) => Some(*e),
            _ => None,
        }
    }

    pub(super) fn number(&self, field: &str) -> Option<f64> {
        match self.values.get(field) {
            Some(Value::Number(n)) => Some(*n),
            _ => None,
        }
    }

    pub(super) fn padding(&self) -> Option<Padding> {
        match self.values.get("padding") {
            Some(Value::Padding(p)) => Some(*p),
            _ => None,
        }
    }

    pub(super) fn activation(&self) -> Activation {
        match self.values.get("activation") {
            Some(Value::Activation(a)) => *a,
            _ => Activation::Linear,
        }
    }

    /// The rule for the first weights, unless it is the layer's own.
    pub(super) fn init(&self) -> Option<Initialiser> {
        match self.values.get("init") {
            Some(Value::Init(init)) => Some(*init),
            _ => None,
        }
    }

    pub(super) fn switch(&self, field: &str, default: bool) -> bool {
        match self.values.get(field) {
            Some(Value::Switch(s)) => *s,
            _ => default,
        }
    }

    /// Reads the fields of `spec`, a layer of type `kind`; `classes` stands for `outputs`.
    pub(super) fn read(
        source: Source,
        spec: &LayerSpec,
        kind: &LayerType,
        outputs: Option<usize>,
    ) -> Result<Self, TextError> {
        let mut arguments = Self::default();
        for (key, value) in &spec.keyed {
            arguments.set(source, kind, key, value, outputs)?;
        }
        for word in &spec.bare {
            let field = arguments.field_for(source, kind, word)?;
            arguments.put(source, field, word, outputs)?;
        }
        let missing = kind
            .fields
            .iter()
            .find(|f| f.required && !arguments.values.contains_key(f.name));
        match missing {
            Some(field) => {
                let message = format!(
                    "`{}` needs its {}: {}; written as `{}`",
                    kind.name,
                    field.name,
                    field.kind.expected(),
                    kind.form()
                );
                Err(source.error(spec.place.clone(), message))
            }
            None => Ok(arguments),
        }
    }

    fn set(
        &mut self,
        source: Source,
        kind: &LayerType,
        key: &Spanned<String>,
        value: &Spanned<Raw>,
        outputs: Option<usize>,
    ) -> Result<(), TextError> {
        let name = match key.value.as_str() {
            "pad" => "padding",
            other => other,
        };
        match (name, &value.value) {
            ("name", Raw::Word(name)) => {
                check_name(source, name, &value.place)?;
                self.name = Some(name.clone());
                return Ok(());
            }
            ("from", Raw::Word(from)) => self.from = from.split('+').map(|f| f.trim().to_string()).collect(),
            ("from", Raw::Words(from)) => self.from = from.clone(),
            ("name" | "from", _) => {
                let message = format!("`{name}` takes a layer's name, found `{}`", value.value.shown());
                return Err(source.error(value.place.clone(), message));
            }
            _ => {
                let known: Vec<&str> = kind
                    .fields
                    .iter()
                    .map(|f| f.name)
                    .chain(["name", "from"])
                    .collect();
                let Some(field) = kind.fields.iter().find(|f| f.name == name) else {
                    let message = format!(
                        "`{}` has no option `{}`{}\nits options: {}",
                        kind.name,
                        key.value,
                        did_you_mean(name, &known),
                        known.join(", ")
                    );
                    return Err(source.error(key.place.clone(), message));
                };
                return self.put(source, field, value, outputs);
            }
        }
        self.from_place = value.place.clone();
        Ok(())
    }

    /// The field that a bare word or number fills.
    fn field_for<'k>(
        &self,
        source: Source,
        kind: &'k LayerType,
        word: &Spanned<Raw>,
    ) -> Result<&'k Field, TextError> {
        let free = |f: &&Field| !self.values.contains_key(f.name);
        let found = match &word.value {
            Raw::Word(text) => kind.fields.iter().find(|f| match f.kind {
                FieldKind::Count => is_placeholder(text) && free(f),
                FieldKind::Padding => padding_word(text).is_some(),
                FieldKind::Activation => text.parse::<Activation>().is_ok(),
                FieldKind::Switch(word) => word == text,
                _ => false,
            }),
            _ => kind.fields.iter().filter(|f| f.kind.takes_numbers()).find(free),
        };
        found.ok_or_else(|| {
            let shown = word.value.shown();
            let message = match &word.value {
                Raw::Word(text) if super::layers::find(text).is_some() => {
                    format!("`{text}` is a layer of its own: put a comma before it")
                }
                Raw::Word(text) => {
                    let words = kind.words();
                    let hint = did_you_mean(text, &words.iter().map(String::as_str).collect::<Vec<_>>());
                    format!(
                        "`{}` does not take `{shown}`{hint}\nwritten as `{}`",
                        kind.name,
                        kind.form()
                    )
                }
                _ => format!(
                    "`{}` takes no further number, found {shown}\nwritten as `{}`",
                    kind.name,
                    kind.form()
                ),
            };
            source.error(word.place.clone(), message)
        })
    }

    fn put(
        &mut self,
        source: Source,
        field: &Field,
        raw: &Spanned<Raw>,
        outputs: Option<usize>,
    ) -> Result<(), TextError> {
        let wrong = |message: String| source.error(raw.place.clone(), message);
        if self.values.contains_key(field.name) {
            return Err(wrong(format!("`{}` is given twice", field.name)));
        }
        let value = match (field.kind, &raw.value) {
            (FieldKind::Count, Raw::Word(word)) if is_placeholder(word) => match outputs {
                Some(outputs) => Some(Value::Count(outputs)),
                None => {
                    let message = "`classes` stands for the number of classes or targets, which is not known here; write the number";
                    return Err(wrong(message.into()));
                }
            },
            (FieldKind::Switch(word), Raw::Word(found)) if word == found => {
                Some(Value::Switch(field.name == word))
            }
            (kind, raw) => convert(kind, raw),
        };
        let value = value.ok_or_else(|| {
            let (name, expected) = (field.name, field.kind.expected());
            wrong(format!(
                "`{name}` must be {expected}; found `{}`",
                raw.value.shown()
            ))
        })?;
        self.values.insert(field.name, value);
        Ok(())
    }
}

pub(super) fn check_name(source: Source, name: &str, place: &Range<usize>) -> Result<(), TextError> {
    if can_name(name) {
        return Ok(());
    }
    let message = format!(
        "`{name}` cannot name a layer: use letters, digits, `_`, `-`, `.` and `/`, at most {LONGEST_NAME} bytes, and not `input`"
    );
    Err(source.error(place.clone(), message))
}

/// Longest name of a layer, in bytes: names of other programs spell out the whole path.
const LONGEST_NAME: usize = 400;

/// Whether a layer may have this name. Names of imported networks may hold `:`, brackets and blanks.
pub(super) fn can_name(name: &str) -> bool {
    let fits = |c: char| !c.is_control() && !matches!(c, '+' | ',' | '=');
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.trim() == name
        && name.chars().all(fits)
        && name != "input"
}

fn is_placeholder(word: &str) -> bool {
    matches!(word, "classes" | "outputs")
}

fn padding_word(word: &str) -> Option<Padding> {
    match word {
        "valid" => Some(Padding::Valid),
        "same" => Some(Padding::Same),
        "full" => Some(Padding::Full),
        _ => None,
    }
}

pub(super) fn whole(number: f64, range: std::ops::RangeInclusive<usize>) -> Option<usize> {
    let n = number as usize;
    (n as f64 == number && range.contains(&n)).then_some(n)
}

fn convert(kind: FieldKind, raw: &Raw) -> Option<Value> {
    Some(match (kind, raw) {
        (FieldKind::Count, Raw::Number(n)) => Value::Count(whole(*n, 1..=LARGEST)?),
        (FieldKind::Whole, Raw::Number(n)) => Value::Count(whole(*n, 0..=LARGEST)?),
        (FieldKind::Extent, Raw::Number(n)) => Value::Extent([whole(*n, 1..=LARGEST_EXTENT)?; 2]),
        (FieldKind::Extent, Raw::Numbers(list)) => match list[..] {
            [r, c] => Value::Extent([whole(r, 1..=LARGEST_EXTENT)?, whole(c, 1..=LARGEST_EXTENT)?]),
            _ => return None,
        },
        (FieldKind::Number, Raw::Number(n)) if n.is_finite() => Value::Number(*n),
        (FieldKind::Padding, Raw::Word(word)) => Value::Padding(padding_word(word)?),
        (FieldKind::Padding, Raw::Number(n)) => Value::Padding(whole(*n, 0..=LARGEST_EXTENT)?.into()),
        (FieldKind::Padding, Raw::Numbers(list)) => {
            let sides: Option<Vec<usize>> = list.iter().map(|&n| whole(n, 0..=LARGEST_EXTENT)).collect();
            Value::Padding(<[usize; 4]>::try_from(sides?).ok()?.into())
        }
        (FieldKind::Activation, Raw::Word(word)) => Value::Activation(word.parse().ok()?),
        (FieldKind::Init, Raw::Word(word)) => Value::Init(word.parse().ok()?),
        (FieldKind::Switch(_), Raw::Switch(on)) => Value::Switch(*on),
        (FieldKind::Switch(_), Raw::Word(word)) => Value::Switch(word.parse().ok()?),
        _ => return None,
    })
}

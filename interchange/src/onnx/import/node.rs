//! What a node of the file says: its attributes and operands.

use super::super::error::Trouble;
use super::super::proto::{AttributeProto, NodeProto, TensorProto};

/// Lengths, strides and paddings are at most this; larger ones are damage.
const MAX_SIZE: i64 = 1 << 26;

/// A node and the version of the operator set that it is written in.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    /// The node of the file.
    pub proto: &'a NodeProto,
    /// The version of the operator set.
    pub opset: i64,
}

impl<'a> Node<'a> {
    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|a| a.name == name)
    }

    /// Whether the attribute is there.
    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// A whole number.
    pub fn int(&self, name: &str, default: i64) -> Result<i64, Trouble> {
        self.int_if(name).map(|i| i.unwrap_or(default))
    }

    /// A whole number that may be missing.
    pub fn int_if(&self, name: &str) -> Result<Option<i64>, Trouble> {
        let Some(attribute) = self.attribute(name) else {
            return Ok(None);
        };
        if !attribute.ref_attr_name.is_empty() {
            return Err(Trouble::unsupported(format!(
                "the attribute `{name}`, which a function passes on,"
            )));
        }
        // A writer may leave out a zero.
        Ok(Some(attribute.i.unwrap_or(0)))
    }

    /// Whether a whole number is not 0.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Trouble> {
        Ok(self.int(name, default.into())? != 0)
    }

    /// A number.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f.unwrap_or(0.0))
    }

    /// Several whole numbers; none if the attribute is missing.
    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    /// Several numbers; none if the attribute is missing.
    pub fn floats(&self, name: &str) -> Option<&'a [f32]> {
        self.attribute(name).map(|a| a.floats.as_slice())
    }

    /// `count` lengths, each `default` if the attribute is missing.
    pub fn sizes(&self, name: &str, count: usize, default: usize) -> Result<Vec<usize>, Trouble> {
        let Some(ints) = self.ints(name).filter(|i| !i.is_empty()) else {
            return Ok(vec![default; count]);
        };
        if ints.len() != count {
            let message = format!("`{name}` has {} numbers, {count} were expected", ints.len());
            return Err(Trouble::Malformed(message));
        }
        ints.iter().map(|&i| size(name, i)).collect()
    }

    /// Text.
    pub fn text(&self, name: &str, default: &str) -> Result<String, Trouble> {
        match self.attribute(name).map(|a| a.s.clone().unwrap_or_default()) {
            None => Ok(default.into()),
            Some(bytes) => {
                String::from_utf8(bytes).map_err(|_| Trouble::malformed(format!("`{name}` is not text")))
            }
        }
    }

    /// Several texts; none if the attribute is missing.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Trouble> {
        let all = self.attribute(name).map_or(&[][..], |a| &a.strings);
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone());
        all.iter()
            .map(text)
            .collect::<Result<_, _>>()
            .map_err(|_| Trouble::malformed(format!("`{name}` is not text")))
    }

    /// A tensor.
    pub fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        self.attribute(name).and_then(|a| a.t.as_ref())
    }

    /// An axis among `rank`; negative ones count from the end.
    pub fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize, Trouble> {
        axis(self.int(name, default)?, rank)
    }

    /// How many results are asked for.
    pub fn results(&self) -> usize {
        self.proto
            .output
            .iter()
            .rposition(|o| !o.is_empty())
            .map_or(0, |last| last + 1)
    }

    /// Whether result `k` is asked for.
    pub fn wants(&self, k: usize) -> bool {
        self.proto.output.get(k).is_some_and(|o| !o.is_empty())
    }
}

/// A length that is not absurd.
pub fn size(what: &str, value: i64) -> Result<usize, Trouble> {
    match value {
        0..=MAX_SIZE => Ok(value as usize),
        _ => Err(Trouble::malformed(format!(
            "`{what}` is {value}, expected 0 to {MAX_SIZE}"
        ))),
    }
}

/// An axis among `rank`; negative ones count from the end.
pub fn axis(value: i64, rank: usize) -> Result<usize, Trouble> {
    let from_start = if value < 0 {
        value.saturating_add(rank as i64)
    } else {
        value
    };
    match usize::try_from(from_start) {
        Ok(axis) if axis < rank => Ok(axis),
        _ => Err(Trouble::malformed(format!("axis {value} is none of {rank} axes"))),
    }
}

/// Several axes among `rank`, each once, ascending.
pub fn axes(values: &[i64], rank: usize) -> Result<Vec<usize>, Trouble> {
    let mut axes: Vec<usize> = values.iter().map(|&v| axis(v, rank)).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Trouble::malformed(format!("axes {values:?} name an axis twice")));
    }
    Ok(axes)
}

//! The tables as text.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::Value;

use super::{Raw, Unit, reads_last};
use crate::model::Model;

pub(super) fn file(model: &Model, units: &[Unit], labels: &HashMap<u64, String>) -> String {
    let sample: Vec<f64> = model
        .input()
        .shape()
        .iter()
        .skip(1)
        .map(|&axis| axis as f64)
        .collect();
    let mut text = format!(
        "name = {}\ninput = {}\n",
        quoted(model.name()),
        shown(&Raw::Numbers(sample))
    );
    let mut last = model.input().id();
    for unit in units {
        let _ = write!(text, "\n[[layer]]\ntype = {}\n", quoted(unit.kind));
        if let Some(name) = labels.get(&unit.makes) {
            let _ = writeln!(text, "name = {}", quoted(name));
        }
        if !reads_last(unit, last) {
            let _ = writeln!(text, "from = {}", sources(&unit.reads, labels));
        }
        for (field, value) in &unit.fields {
            let _ = writeln!(text, "{field} = {}", shown(value));
        }
        if !unit.aside {
            last = unit.makes;
        }
    }
    text
}

fn sources(reads: &[u64], labels: &HashMap<u64, String>) -> String {
    let name = |id: &u64| labels.get(id).cloned().unwrap_or_default();
    match reads {
        [one] => quoted(&name(one)),
        several => shown(&Raw::Words(several.iter().map(name).collect())),
    }
}

fn shown(value: &Raw) -> String {
    match value {
        Raw::Number(n) => number(*n),
        Raw::Word(word) => quoted(word),
        Raw::Switch(on) => on.to_string(),
        Raw::Numbers(list) => listed(list.iter().map(|&n| number(n))),
        Raw::Words(list) => listed(list.iter().map(|w| quoted(w))),
        Raw::Table(table) => inline(table),
    }
}

fn listed(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// Whole numbers without a point; others with as many digits as tell them apart.
fn number(n: f64) -> String {
    match n.fract() == 0.0 && n.abs() < 1e15 {
        true => format!("{n:.0}"),
        false => format!("{n:?}"),
    }
}

/// A text in quotes. TOML and JSON escape alike, but for one character.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Attributes in braces, the op's name first; what is absent is left out.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut order: Vec<(&String, &Value)> = fields.iter().filter(|(_, v)| !v.is_null()).collect();
            order.sort_by_key(|(key, _)| *key != "op");
            let fields = order
                .iter()
                .map(|(key, v)| format!("{} = {}", bare(key), inline(v)));
            match order.is_empty() {
                true => "{}".into(),
                false => format!("{{ {} }}", fields.collect::<Vec<_>>().join(", ")),
            }
        }
        Value::Array(items) => listed(items.iter().map(inline)),
        Value::String(text) => quoted(text),
        Value::Number(n) if n.is_f64() => n.as_f64().map_or("0.0".into(), short),
        other => other.to_string(),
    }
}

fn bare(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match !key.is_empty() && key.chars().all(plain) {
        true => key.into(),
        false => quoted(key),
    }
}

/// Attributes are f32: 0.1 rather than 0.10000000149011612.
fn short(n: f64) -> String {
    let single = n as f32;
    let text = format!("{single:?}");
    let same = text.parse::<f64>().is_ok_and(|read| read as f32 == single);
    match same && f64::from(single) == n {
        true => text,
        false => format!("{n:?}"),
    }
}

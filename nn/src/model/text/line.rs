//! Reading the one-line form into layers.

use std::ops::Range;

use super::MAX_LAYERS;
use super::error::{Source, TextError};
use super::fields::{LayerSpec, Raw, Spanned};

/// The layers of a line, divided by commas.
pub(super) fn parse(source: Source) -> Result<Vec<LayerSpec>, TextError> {
    let mut layers = Vec::new();
    for part in pieces(source.text, 0..source.text.len(), |c| c == ',') {
        let words = pieces(source.text, part.clone(), char::is_whitespace);
        let words: Vec<Range<usize>> = words.into_iter().filter(|w| !w.is_empty()).collect();
        let Some((kind, rest)) = words.split_first() else {
            let message = "a layer is missing here; layers are written `conv 6 5 relu, maxpool 2, flatten, dense classes`";
            return Err(source.error(part, message));
        };
        let place = kind.start..words.last().map_or(kind.end, |w| w.end);
        let mut spec = LayerSpec {
            kind: word(source, kind),
            bare: Vec::new(),
            keyed: Vec::new(),
            place,
        };
        for range in rest {
            match source.text[range.clone()].split_once('=') {
                Some((key, _)) => {
                    let middle = range.start + key.len();
                    let value = middle + 1..range.end;
                    spec.keyed
                        .push((word(source, &(range.start..middle)), raw(source, &value)));
                }
                None => spec.bare.push(raw(source, range)),
            }
        }
        layers.push(spec);
        if layers.len() > MAX_LAYERS {
            return Err(source.error(0..0, format!("more than {MAX_LAYERS} layers")));
        }
    }
    Ok(layers)
}

/// The ranges between the characters that `divides` finds.
fn pieces(text: &str, within: Range<usize>, divides: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = within.start;
    for (at, c) in text[within.clone()].char_indices() {
        if divides(c) {
            found.push(start..within.start + at);
            start = within.start + at + c.len_utf8();
        }
    }
    found.push(start..within.end);
    found
}

fn word(source: Source, place: &Range<usize>) -> Spanned<String> {
    Spanned {
        value: source.text[place.clone()].to_string(),
        place: place.clone(),
    }
}

fn raw(source: Source, place: &Range<usize>) -> Spanned<Raw> {
    let text = &source.text[place.clone()];
    let value = match (
        number(text),
        text.split('x').map(number).collect::<Option<Vec<f64>>>(),
    ) {
        (Some(number), _) => Raw::Number(number),
        (None, Some(numbers)) => Raw::Numbers(numbers),
        (None, None) => Raw::Word(text.to_string()),
    };
    Spanned {
        value,
        place: place.clone(),
    }
}

/// A number that begins like one; `inf` and `nan` are words.
fn number(text: &str) -> Option<f64> {
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    text.parse().ok().filter(|n: &f64| begins && n.is_finite())
}

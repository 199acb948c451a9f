//! `patches`: the real pictures to which units answer most, layer after layer (row E4).

use std::collections::HashMap;

use data::Target;
use explain::seen::{LayerPatches, Patch, Strongest, unit_signals};
use explain::{Subject, spatial_layers};
use ndarray::{Array2, Array3, ArrayView3, Axis, Ix4, s};
use nn::Model;
use report::figures::{Tile, gallery_of_side, tiles};
use report::png;
use serde_json::{Map, Value, json};

use super::stream::{Stream, asked, file_part};
use super::{Scene, Section};
use crate::error::Outcome;
use crate::explaining::picture;
use crate::text::{number, thousands};

/// Samples that are looked through if nothing else is said.
const SAMPLES: usize = 10_000;
/// Patches of a unit, as in Zeiler and Fergus's figure.
const PATCHES: usize = 9;
/// Layers that are shown if none is named, and units of each; units of one that is named.
const LAYERS: usize = 5;
const UNITS: usize = 4;
const UNITS_OF_ONE: usize = 9;
/// Side of a patch in pixels of the sheet, and most pixels of its own.
const SIDE: usize = 60;
const MOST_PIXELS: usize = 96;
/// What stands between patches: no grey, so that neither black nor white ones run into each other.
const PAPER: [u8; 3] = [86, 132, 186];

/// Draws them.
pub fn draw(scene: &mut Scene) -> Outcome<Section> {
    let flags = &scene.args.methods;
    let mut subject = asked(scene)?;
    let layers = match &flags.layer {
        Some(layer) => vec![layer.clone()],
        None => hierarchy(subject.model()),
    };
    let names: Vec<&str> = layers.iter().map(String::as_str).collect();
    let mut strongest = Strongest::new(&subject, &names, PATCHES)?;
    strongest.check_units(&flags.units)?;
    let samples = Stream::new(scene, scene.args.samples(SAMPLES))?;
    for part in samples.parts(scene.network) {
        strongest.look(&mut subject, &samples.read(scene.network, part.clone())?)?;
        scene.bar.at(part.end, samples.len());
    }
    let mut sheets = Sheets {
        scene,
        samples: &samples,
        subject,
    };
    let (mut figures, mut objects, mut shown) = (Vec::new(), Vec::new(), 0);
    for layer in strongest.layers() {
        let most = if layers.len() == 1 { UNITS_OF_ONE } else { UNITS };
        let units = match flags.units.is_empty() {
            true => strongest.particular(layer, most),
            false => flags.units.clone(),
        };
        let (figure, object) = sheets.layer(layer, &units)?;
        shown += units.len();
        figures.push(figure);
        objects.push(object);
    }
    let has_relu = scene.network.model().nodes().iter().any(|node| {
        matches!(node.op(), graph::ops::Op::Unary(op) if matches!(op.kind, graph::ops::UnaryKind::Relu | graph::ops::UnaryKind::Relu6))
    });
    Ok(Section {
        title: "The strongest patches of units".into(),
        texts: texts(&samples, flags.units.is_empty(), has_relu),
        figures,
        told: format!(
            "{shown} units of {} layers, over {} samples",
            layers.len(),
            thousands(samples.len())
        ),
        object: Map::from_iter([
            ("samples".to_string(), json!(samples.len())),
            ("layers".to_string(), Value::Array(objects)),
        ]),
    })
}

fn texts(samples: &Stream, chosen: bool, has_relu: bool) -> Vec<String> {
    let which = match chosen {
        true => " Shown are units whose strongest answers stand out most from their answers to all samples.",
        false => "",
    };
    let signals = match has_relu {
        true => {
            "what of each made the unit answer, by the deconvnet: its answer sent back through the layers (grey is nothing)"
        }
        false => {
            "the gradient of the unit's answer (the network has no ReLU, so the deconvnet is no more than this; grey is nothing)"
        }
    };
    let mut texts = vec![format!(
        "Right of each sheet: the {PATCHES} patches, one of a picture at most, to which a unit answers most among {} samples, the \
         strongest first. Left, in the same order: {signals}, each with its own scale. A patch is all that decides about the \
         answer, cut at the picture's border; its size grows from layer to layer, and what its patches have in common is what \
         the unit looks for.{which}",
        thousands(samples.len())
    )];
    texts.extend(samples.left_out.iter().cloned());
    texts
}

/// The outputs of convolutions, each behind the normalisation and activation that follow: some of them, from the first to the last.
fn hierarchy(model: &Model) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut shape: Option<Vec<usize>> = None;
    let weighted = |layer: &str| {
        let of = |name: &str| name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'));
        model
            .parameters()
            .iter()
            .any(|p| p.shape().rank() == 4 && of(&p.name))
    };
    for (layer, node) in spatial_layers(model) {
        let here = node.shape().to_vec();
        if weighted(&layer) {
            found.push(layer);
            shape = Some(here);
        } else if shape.as_ref() == Some(&here) {
            found.pop();
            found.push(layer);
        } else {
            shape = None;
        }
    }
    let (all, kept) = (found.len(), found.len().min(LAYERS));
    (0..kept)
        .map(|n| found[n * (all - 1) / (kept - 1).max(1)].clone())
        .collect()
}

struct Sheets<'a, 'b> {
    scene: &'a Scene<'b>,
    samples: &'a Stream,
    subject: Subject,
}

impl Sheets<'_, '_> {
    /// A layer's figure with its caption, and what is told of it.
    fn layer(&mut self, layer: &LayerPatches, units: &[usize]) -> Outcome<((String, String), Value)> {
        let (mut sheets, mut objects) = (Vec::new(), Vec::new());
        let mut answers = Array2::from_elem((units.len(), PATCHES), f32::NAN);
        for (row, &unit) in units.iter().enumerate() {
            let found = &layer.units[unit];
            let sheet = self.sheet(layer, unit)?;
            let base = format!("patches.{}.{unit}", file_part(&layer.layer));
            let file = self
                .scene
                .folder
                .write(format!("{base}.png"), &png::encode(sheet.view())?)?;
            for (rank, patch) in found.patches.iter().enumerate() {
                answers[[row, rank]] = patch.activation;
            }
            objects.push(json!({
                "unit": unit,
                "picture": file,
                "flat": found.is_flat(),
                "patches": found.patches.iter().map(|p| self.told(p)).collect::<Vec<_>>(),
            }));
            let mut caption = format!("unit {unit}: {}", self.caption(&found.patches)?);
            if found.is_flat() {
                caption = format!("unit {unit}: the same everywhere");
            }
            sheets.push(Tile::new(sheet, caption));
        }
        let base = format!("patches.{}", file_part(&layer.layer));
        let file = self
            .scene
            .folder
            .write_array(format!("{base}.npy"), answers.view().into_dyn())?;
        let flat = layer.units.iter().filter(|unit| unit.is_flat()).count();
        let [height, width] = layer.field;
        let title = format!("{}: each position sees {height} × {width} pixels", layer.layer);
        let caption = match flat {
            0 => String::new(),
            _ => format!(
                "{flat} of {} units are the same on all samples: they never answer.",
                layer.units.len()
            ),
        };
        let object = json!({
            "layer": layer.layer, "shape": layer.shape, "sees": layer.field, "flat": flat,
            "activations": file, "units": objects,
        });
        Ok(((gallery_of_side(&title, &sheets, Some(330.0))?, caption), object))
    }

    /// The signals of a unit's patches, and the patches.
    fn sheet(&mut self, layer: &LayerPatches, unit: usize) -> Outcome<Array3<u8>> {
        let patches = &layer.units[unit].patches;
        if patches.is_empty() {
            return Ok(tiles(&[], 1, (SIDE, 0), PAPER));
        }
        let inputs = self
            .samples
            .read(self.scene.network, patches.iter().map(|p| p.sample))?;
        let answers: Vec<(usize, [usize; 2])> = patches.iter().map(|p| (unit, p.position)).collect();
        let signals = unit_signals(&mut self.subject, &layer.layer, &inputs, &answers)?;
        let signals = signals.into_dimensionality::<Ix4>()?;
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (k, patch) in patches.iter().enumerate() {
            let whole = picture(self.scene.network, &inputs, k);
            let [rows, columns] = patch.inside([whole.dim().0, whole.dim().1]);
            let part = s![rows.start..rows.end, columns.start..columns.end, ..];
            right.push(png::shrink_to(whole.slice(part), MOST_PIXELS));
            let signal = signals.index_axis(Axis(0), k);
            left.push(png::shrink_to(
                grey_at_zero(signal.slice(part)).view(),
                MOST_PIXELS,
            ));
        }
        let block = |pictures: &[Array3<u8>]| tiles(pictures, 3, (SIDE, 2), PAPER);
        Ok(tiles(&[block(&left), block(&right)], 2, (1, 10), [255; 3]))
    }

    fn told(&self, patch: &Patch) -> Value {
        let shape = self.scene.network.preprocess().input_shape();
        let [rows, columns] = patch.inside([shape[0], shape[1]]);
        json!({
            "sample": self.samples.name(patch.sample),
            "activation": patch.activation,
            "position": patch.position,
            "rows": [rows.start, rows.end],
            "columns": [columns.start, columns.end],
        })
    }

    /// From the strongest answer to the weakest, and the class that most patches are of.
    fn caption(&self, patches: &[Patch]) -> Outcome<String> {
        let (Some(first), Some(last)) = (patches.first(), patches.last()) else {
            return Ok(String::new());
        };
        let range = [first, last].map(|p| number(f64::from((p.activation * 100.0).round() / 100.0)));
        let mut counts: HashMap<usize, usize> = HashMap::new();
        for patch in patches {
            if let Some(Target::Class(class)) = self.samples.truth(patch.sample)? {
                *counts.entry(class).or_default() += 1;
            }
        }
        let most = counts
            .into_iter()
            .max_by_key(|&(class, count)| (count, std::cmp::Reverse(class)));
        let names = self.scene.network.task().output_names();
        let class = most.and_then(|(class, count)| {
            Some(format!(
                "; {count} of {} are {}",
                patches.len(),
                names.get(class)?
            ))
        });
        Ok(format!(
            "{} … {}{}",
            range[0],
            range[1],
            class.unwrap_or_default()
        ))
    }
}

/// A signal with its largest magnitude as full colour and 0 as grey; bands that are not red, green and blue are summed.
fn grey_at_zero(signal: ArrayView3<f32>) -> Array3<u8> {
    let signal = match signal.dim().2 {
        3 => signal.to_owned(),
        _ => signal.sum_axis(Axis(2)).insert_axis(Axis(2)),
    };
    let most = signal.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let most = if most > 0.0 { most } else { 1.0 };
    png::to_bytes(signal.view(), -most, most)
}

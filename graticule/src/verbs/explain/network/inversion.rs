//! `inversion`: what the layers still know of a picture (row E5).

use explain::looks::{Inversion, PreImages, invert};
use explain::weighted_layers;
use ndarray::Axis;
use report::figures::{Tile, gallery};
use report::png;
use serde_json::{Map, Value, json};

use super::super::samples::of_pictures;
use super::sought::{SIDE, asked, pixels, shown, spread};
use super::{Scene, Section};
use crate::error::{Failure, Outcome};
use crate::explaining::batch;
use crate::text::percent;

/// Layers that are shown unless one is named.
const LAYERS: usize = 6;
/// Most pictures that are sought again.
const MOST: usize = 4;

/// Draws them.
pub fn draw(scene: &mut Scene) -> Outcome<Section> {
    let pixels = pixels(scene.network)?;
    let (names, encoded) = inputs(scene)?;
    let inputs = batch(scene.network, encoded)?;
    let settings = Inversion {
        steps: scene.args.methods.rounds.unwrap_or(Inversion::default().steps),
        ..Inversion::default()
    };
    let layers: Vec<String> = match &scene.args.methods.layer {
        Some(layer) => vec![layer.clone()],
        None => {
            let chosen = spread(weighted_layers(scene.network.model()), LAYERS).into_iter();
            chosen.map(|(name, _)| name).collect()
        }
    };
    let mut subject = asked(scene)?;
    let (mut found, mut objects) = (Vec::<PreImages>::new(), Vec::new());
    for layer in &layers {
        scene.bar.begin(format!("inversion of {layer}"));
        let images = invert(&mut subject, &pixels, &inputs, layer, &settings)?;
        let stem = scene.folder.stem(&format!("inversion.{layer}.x"));
        let array = scene
            .folder
            .write_array(format!("{stem}.npy"), images.pictures.view())?;
        objects.push(json!({
            "layer": layer, "errors": images.errors, "distances": images.distances, "pictures": array
        }));
        found.push(images);
    }
    let originals = shown(scene.network, &inputs);
    let again: Vec<_> = found
        .iter()
        .map(|images| shown(scene.network, &images.pictures))
        .collect();
    let (mut sheet, mut figures) = (Vec::new(), Vec::new());
    for (k, original) in originals.into_iter().enumerate() {
        let row: Vec<_> = std::iter::once(original)
            .chain(again.iter().map(|all| all[k].clone()))
            .collect();
        sheet.extend(row.iter().cloned());
        let captions = found
            .iter()
            .map(|of| format!("{}\n{}", of.layer, percent(f64::from(of.errors[k]))));
        let captions = std::iter::once("input".to_string()).chain(captions);
        let tiles: Vec<Tile> = row
            .into_iter()
            .zip(captions)
            .map(|(picture, of)| Tile::new(picture, of))
            .collect();
        figures.push((gallery(&names[k], &tiles)?, String::new()));
    }
    let picture = png::encode(png::sheet(&sheet, layers.len() + 1, SIDE).view())?;
    let mut object = Map::new();
    object.insert("inputs".into(), json!(names));
    object.insert("layers".into(), Value::Array(objects));
    object.insert(
        "picture".into(),
        json!(scene.folder.write("inversion.png".into(), &picture)?),
    );
    Ok(Section {
        title: "What layers still know of a picture".into(),
        texts: vec![format!(
            "Each picture was sought, from faint noise, so that the layer's output becomes that of the input ({} steps; a little \
             total variation keeps it natural). Below each stands how far the output still is from the input's, in parts of its length. \
             What differs from the input is what the layer has forgotten, or never cared about.",
            settings.steps
        )],
        figures,
        told: told(&found),
        object,
    })
}

/// The pictures of the command line or of the run, a few of them, as the network reads them.
fn inputs(scene: &mut Scene) -> Outcome<(Vec<String>, Vec<f32>)> {
    let most = MOST.min(scene.args.samples(MOST));
    let samples = of_pictures(scene.args, scene.found, scene.network, most)?;
    let (mut names, mut encoded) = (Vec::new(), Vec::new());
    for k in 0..samples.len().min(MOST) {
        let raw = samples.read(scene.network, k);
        match raw.and_then(|raw| scene.network.preprocess().encode(&raw)) {
            Ok(numbers) => {
                names.push(samples.name(k));
                encoded.extend(numbers);
            }
            Err(error) if scene.args.skip_bad => scene.bar.note(format!("left out: {error}")),
            Err(error) => return Err(Failure::not_skipped(error)),
        }
    }
    match names.is_empty() {
        true => Err(Failure::new("no picture could be read")),
        false => Ok((names, encoded)),
    }
}

/// The mean error of each layer.
fn told(found: &[PreImages]) -> String {
    let mean = |images: &PreImages| {
        let count = images.pictures.len_of(Axis(0)).max(1);
        images.errors.iter().map(|&e| f64::from(e)).sum::<f64>() / count as f64
    };
    let each = found
        .iter()
        .map(|images| format!("{} {}", images.layer, percent(mean(images))));
    format!("the output differs by {}", each.collect::<Vec<_>>().join(", "))
}

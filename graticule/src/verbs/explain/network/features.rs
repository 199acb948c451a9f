//! `features`: what single units answer to most, layer after layer (row E4).

use explain::looks::{Search, Sought, Spot, Units, features};
use explain::{layers, weighted_layers};
use report::figures::{Tile, gallery};
use report::png;
use serde_json::{Map, Value, json};

use super::sought::{SIDE, asked, pixels, shown, spread};
use super::{Scene, Section};
use crate::error::Outcome;
use crate::text::number;

/// Layers that are shown if none is named, and units of each.
const LAYERS: usize = 4;
const UNITS_OF_EACH: usize = 8;
/// Units of a layer that is named.
const UNITS: usize = 16;

/// Draws them.
pub fn draw(scene: &mut Scene) -> Outcome<Section> {
    let pixels = pixels(scene.network)?;
    let search = Search {
        steps: scene.args.methods.rounds.unwrap_or(Search::default().steps),
        ..Search::default()
    };
    let mut subject = asked(scene)?;
    let (mut figures, mut told, mut objects) = (Vec::new(), Vec::new(), Vec::new());
    for asked in units(scene) {
        scene.bar.begin(format!("features of {}", asked.layer));
        let found = features(&mut subject, &pixels, &asked, &search)?;
        let pictures = shown(scene.network, &found.pictures);
        let stem = scene.folder.stem(&format!("features.{}.x", asked.layer));
        let sheet = png::encode(png::sheet(&pictures, UNITS_OF_EACH, SIDE).view())?;
        let mut object = Map::new();
        object.insert("layer".into(), json!(asked.layer));
        object.insert("units".into(), json!(asked.units));
        object.insert("before".into(), json!(found.before));
        object.insert("after".into(), json!(found.after));
        object.insert(
            "picture".into(),
            json!(scene.folder.write(format!("{stem}.png"), &sheet)?),
        );
        object.insert(
            "pictures".into(),
            json!(
                scene
                    .folder
                    .write_array(format!("{stem}.npy"), found.pictures.view())?
            ),
        );
        let tiles = pictures.into_iter().zip(&asked.units);
        let tiles: Vec<Tile> = tiles
            .map(|(picture, unit)| Tile::new(picture, format!("unit {unit}")))
            .collect();
        figures.push((gallery(&asked.layer, &tiles)?, grown(&asked, &found)));
        told.push(format!("{} {} units", asked.layer, asked.units.len()));
        objects.push(Value::Object(object));
    }
    Ok(Section {
        title: "What units look for".into(),
        texts: vec![format!(
            "Each picture was sought, from faint noise, so that the mean of one unit's map grows ({} steps along its gradient; \
             waves that are low and grey move most, the picture is shifted at random, total variation and contrast are \
             bounded). First layers answer to edges and colours, later ones to textures and parts. A picture shows one \
             thing that makes the unit answer; photographs may make it answer by others.",
            search.steps
        )],
        figures,
        told: told.join(", "),
        object: [("layers".to_string(), Value::Array(objects))]
            .into_iter()
            .collect(),
    })
}

/// What is asked for: units of one layer that is named, or some of a few layers.
fn units(scene: &Scene) -> Vec<Units> {
    let flags = &scene.args.methods;
    let model = scene.network.model();
    let of = |layer: String, count: usize, most: usize| Units {
        layer,
        units: match flags.units.is_empty() {
            true => (0..count.min(most)).collect(),
            false => flags.units.clone(),
        },
        spot: Spot::Mean,
    };
    match &flags.layer {
        Some(layer) => {
            let inside = |name: &str| {
                name.strip_prefix(layer.as_str())
                    .is_some_and(|rest| rest.starts_with('.'))
            };
            let known = layers(model).into_iter().rev();
            let node = known.into_iter().find(|(name, _)| name == layer || inside(name));
            // One that does not exist is refused by the search, which knows the names.
            vec![of(
                layer.clone(),
                node.map_or(1, |(_, node)| node.shape().last_axis()),
                UNITS,
            )]
        }
        None => {
            let mut layers = weighted_layers(model);
            // What the last layer looks for are the classes.
            layers.retain(|(_, node)| node.shape().rank() == 4);
            let chosen = spread(layers, LAYERS).into_iter();
            chosen
                .map(|(name, node)| of(name, node.shape().last_axis(), UNITS_OF_EACH))
                .collect()
        }
    }
}

fn grown(asked: &Units, found: &Sought) -> String {
    let mean = |values: &[f32]| {
        number(values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len().max(1) as f64)
    };
    format!(
        "Layer {}: from {} at the start to {}, the mean of these units before their activation function (what is below 0 in a map counts a tenth).",
        asked.layer,
        mean(&found.before),
        mean(&found.after)
    )
}

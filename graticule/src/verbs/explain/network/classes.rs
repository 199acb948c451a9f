//! `classes`: what each class looks like to the network (row E5).

use explain::looks::{Search, class_pictures};
use report::figures::{Tile, gallery};
use report::png;
use serde_json::{Map, json};

use super::super::{output_index, output_name};
use super::sought::{SIDE, asked, pixels, shown};
use super::{Scene, Section};
use crate::error::Outcome;
use crate::text::{number, percent};

/// Most classes that are shown unless one is named.
const MOST: usize = 100;

/// Draws them.
pub fn draw(scene: &mut Scene) -> Outcome<Section> {
    let pixels = pixels(scene.network)?;
    let all = scene.network.task().output_names().len();
    let outputs: Vec<usize> = match scene.args.target.as_deref() {
        Some(wanted) => vec![output_index(scene.network, wanted, "--target")?],
        None => (0..all.min(MOST)).collect(),
    };
    let search = Search {
        steps: scene.args.methods.rounds.unwrap_or(Search::default().steps),
        ..Search::default()
    };
    let mut subject = asked(scene)?;
    scene.bar.begin(format!("pictures of {} classes", outputs.len()));
    let found = class_pictures(&mut subject, &pixels, &outputs, &search)?;
    let encoded: Vec<f32> = found.pictures.iter().copied().collect();
    let width = scene.network.task().outputs().max(1);
    let said = scene.network.infer(&encoded, outputs.len())?.predictions;
    let is_class = scene.network.task().classes().is_some();
    let says = |k: usize| match (is_class, said.chunks(width).nth(k)) {
        // A single score is the probability of the second of two classes.
        (true, Some(&[p])) if all == 2 => f64::from(if outputs[k] == 1 { p } else { 1.0 - p }),
        (_, Some(row)) => row.get(outputs[k]).map_or(f64::NAN, |&p| f64::from(p)),
        (_, None) => f64::NAN,
    };
    let recognises = |k: usize| match said.chunks(width).nth(k) {
        Some(&[_]) => says(k) > 0.5,
        Some(row) => row.iter().all(|&p| f64::from(p) <= says(k)),
        None => false,
    };
    let pictures = shown(scene.network, &found.pictures);
    let columns = (outputs.len() as f64).sqrt().ceil().max(5.0) as usize;
    let sheet = png::encode(png::sheet(&pictures, columns, SIDE).view())?;
    let names: Vec<&str> = outputs.iter().map(|&k| output_name(scene.network, k)).collect();
    let mut object = Map::new();
    object.insert("classes".into(), json!(names));
    object.insert("before".into(), json!(found.before));
    object.insert("after".into(), json!(found.after));
    object.insert(
        "said".into(),
        json!((0..outputs.len()).map(says).collect::<Vec<_>>()),
    );
    object.insert(
        "picture".into(),
        json!(scene.folder.write("classes.png".into(), &sheet)?),
    );
    object.insert(
        "pictures".into(),
        json!(
            scene
                .folder
                .write_array("classes.npy".into(), found.pictures.view())?
        ),
    );
    let told = |k: usize| {
        if is_class {
            percent(says(k))
        } else {
            number(says(k))
        }
    };
    let caption = |k: usize| format!("{}\n{}", names[k], told(k));
    let tiles = pictures.into_iter().enumerate();
    let tiles: Vec<Tile> = tiles.map(|(k, picture)| Tile::new(picture, caption(k))).collect();
    let shown = match outputs.len() < all && scene.args.target.is_none() {
        true => format!("the first {} of {all}", outputs.len()),
        false => outputs.len().to_string(),
    };
    let recognised = (0..outputs.len()).filter(|&k| recognises(k)).count();
    Ok(Section {
        title: "What classes look like to the network".into(),
        texts: vec![format!(
            "Each picture was sought so that the unnormalised score of a class grows ({} steps along its gradient), as natural \
             as the search keeps it. Below each stands what the network says of it. It shows what the score counts; that \
             this resembles the class tells what was learnt, and where it does not, what the network may be fooled by.",
            search.steps
        )],
        figures: vec![(gallery("classes", &tiles)?, String::new())],
        told: match is_class {
            true => format!("{shown} classes; the network names {recognised} of their pictures right"),
            false => format!("{shown} outputs"),
        },
        object,
    })
}

//! `activations`: what each layer makes of inputs.

use explain::seen::{Channels, LayerMaps, activations};
use ndarray::{Array3, Axis};
use report::colour::ColourMap;
use report::figures::{Tile, gallery, gallery_of_side, tiles};
use report::png;
use serde_json::{Map, Value, json};

use super::stream::{Stream, asked, file_part};
use super::{Scene, Section};
use crate::error::Outcome;
use crate::explaining::picture;
use crate::text::number;

/// Inputs that are shown if nothing else is said.
const INPUTS: usize = 4;
/// Channels of each layer, the most active ones.
const CHANNELS: usize = 16;
/// Inputs that are read together.
const TOGETHER: usize = 16;
/// Most figures on the page; the other layers and inputs have their files.
const FIGURES: usize = 80;

/// Draws them.
pub fn draw(scene: &mut Scene) -> Outcome<Section> {
    let flags = &scene.args.methods;
    let channels = match flags.units.is_empty() {
        true => Channels::MostActive(CHANNELS),
        false => Channels::These(flags.units.clone()),
    };
    let mut subject = asked(scene)?;
    let samples = Stream::new(scene, scene.args.samples(INPUTS))?;
    let (mut figures, mut objects) = (Vec::new(), Vec::new());
    let (mut layers, mut left) = (0, 0);
    for first in (0..samples.len()).step_by(TOGETHER) {
        let these = first..samples.len().min(first + TOGETHER);
        let inputs = samples.read(scene.network, these.clone())?;
        let found = activations(&mut subject, &inputs, flags.layer.as_deref(), &channels)?;
        for (row, (k, of)) in these.zip(&found).enumerate() {
            let name = samples.name(k);
            let stem = scene.folder.stem(&name);
            layers = of.len();
            let room = figures.is_empty() || figures.len() + layers < FIGURES;
            match room {
                true => {
                    let input = Tile::new(picture(scene.network, &inputs, row), "");
                    figures.push((gallery("input", &[input])?, name.clone()));
                }
                false => left += 1,
            }
            let mut files = Vec::new();
            for maps in of {
                let pictures = pictures(maps);
                files.push(written(scene, &stem, maps, &pictures)?);
                if room {
                    figures.push((sheet(maps, pictures)?, silence(maps)));
                }
            }
            objects.push(json!({ "input": name, "layers": files }));
            scene.bar.at(k + 1, samples.len());
        }
    }
    let mut texts = vec![format!(
        "What each layer makes of an input, after its activation function. {} Each map has its own scale, from its least value (dark \
         violet) to its greatest (yellow), which stand below it behind the channel's number; so a faint map looks as strong as \
         any other. The numbers themselves are in the .npy files, [channels, rows, columns].",
        match &channels {
            Channels::These(_) => "The channels asked for.".to_string(),
            _ => format!(
                "Of each layer the {CHANNELS} channels with the largest mean magnitude, the largest first."
            ),
        }
    )];
    if left > 0 {
        texts.push(format!(
            "The first {} of {} inputs; all have their files beside this page.",
            samples.len() - left,
            samples.len()
        ));
    }
    texts.extend(samples.left_out.iter().cloned());
    Ok(Section {
        title: "Activation maps, layer by layer".into(),
        texts,
        figures,
        told: format!("{} inputs, {layers} layers", samples.len()),
        object: Map::from_iter([("inputs".to_string(), Value::Array(objects))]),
    })
}

/// The maps in colour.
fn pictures(maps: &LayerMaps) -> Vec<Array3<u8>> {
    let of = |k: usize| {
        let (low, high) = maps.ranges[k];
        let map = maps.maps.index_axis(Axis(0), k);
        // A map that is the same everywhere has the first colour.
        let span = if high > low { high - low } else { 1.0 };
        Array3::from_shape_fn((map.nrows(), map.ncols(), 3), |(y, x, c)| {
            ColourMap::Viridis.at(f64::from((map[[y, x]] - low) / span))[c]
        })
    };
    (0..maps.channels.len()).map(of).collect()
}

fn written(scene: &Scene, stem: &str, maps: &LayerMaps, pictures: &[Array3<u8>]) -> Outcome<Value> {
    let base = format!("{stem}.activations.{}", file_part(&maps.layer));
    let columns = if pictures.len() > 8 { 8 } else { 4 };
    let small: Vec<Array3<u8>> = pictures.iter().map(|p| png::shrink_to(p.view(), 128)).collect();
    let sheet = png::encode(tiles(&small, columns, (96, 4), [255; 3]).view())?;
    Ok(json!({
        "layer": maps.layer,
        "shape": maps.shape,
        "channels": maps.channels,
        "ranges": maps.ranges,
        "flat": maps.flat,
        "picture": scene.folder.write(format!("{base}.png"), &sheet)?,
        "maps": scene.folder.write_array(format!("{base}.npy"), maps.maps.view().into_dyn())?,
    }))
}

fn sheet(maps: &LayerMaps, pictures: Vec<Array3<u8>>) -> Outcome<String> {
    let short = |v: f32| number((f64::from(v) * 100.0).round() / 100.0);
    let tile = |(k, picture): (usize, Array3<u8>)| {
        let (low, high) = maps.ranges[k];
        Tile::new(
            picture,
            format!("{}: {} … {}", maps.channels[k], short(low), short(high)),
        )
    };
    let tiles: Vec<Tile> = pictures.into_iter().enumerate().map(tile).collect();
    let [rows, columns, depth] = maps.shape;
    let title = format!("{}: {rows} × {columns} × {depth}", maps.layer);
    Ok(gallery_of_side(&title, &tiles, Some(96.0))?)
}

/// A line about channels that say nothing.
fn silence(maps: &LayerMaps) -> String {
    match maps.flat {
        0 => String::new(),
        1 => format!(
            "1 of {} channels is the same everywhere on this input.",
            maps.shape[2]
        ),
        flat => format!(
            "{flat} of {} channels are the same everywhere on this input.",
            maps.shape[2]
        ),
    }
}

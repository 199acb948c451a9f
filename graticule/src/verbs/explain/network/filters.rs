//! `filters`: the weights of the first layer as pictures (row E3).

use explain::looks::first_filters;
use report::figures::{filters_grid, filters_png};
use serde_json::{Map, json};
use train::Network;

use super::{Scene, Section};
use crate::error::Outcome;

/// Why the network has no such picture.
pub fn unsuited(network: &Network) -> Option<String> {
    let found = first_filters(network.model(), network.parameters());
    found.err().map(|error| error.to_string())
}

/// Draws them.
pub fn draw(scene: &mut Scene) -> Outcome<Section> {
    let found = first_filters(scene.network.model(), scene.network.parameters())?;
    let (rows, columns, channels, filters) = found.weights.dim();
    let array = found.weights.view().into_dyn();
    let picture = filters_png(found.weights.view())?;
    let mut object = Map::new();
    object.insert("layer".into(), json!(found.layer));
    object.insert("shape".into(), json!([rows, columns, channels, filters]));
    object.insert(
        "picture".into(),
        json!(scene.folder.write("filters.png".into(), &picture)?),
    );
    object.insert(
        "weights".into(),
        json!(scene.folder.write_array("filters.npy".into(), array)?),
    );
    let colours = match channels {
        1 => "Grey is 0, white and black are plus and minus the largest weight of the filter.",
        3 => {
            "The three channels are shown as red, green and blue. Grey is 0; 0 and full colour are minus and plus the \
             largest weight of the filter."
        }
        _ => {
            "A column is a filter and a row one of its channels, the first above. Grey is 0, white and black are plus and \
             minus the largest weight of that tile."
        }
    };
    Ok(Section {
        title: format!("Filters of {}, the first layer", found.layer),
        texts: vec![format!(
            "The weights that the first layer multiplies pixels with. {colours} Each is scaled by itself, so that weak filters \
             look as strong as the others; the weights are in filters.npy, [rows, columns, channels, filters]."
        )],
        figures: vec![(filters_grid(&found.layer, found.weights.view())?, String::new())],
        told: format!(
            "layer {}, {filters} filters of {rows} × {columns} × {channels}",
            found.layer
        ),
        object,
    })
}

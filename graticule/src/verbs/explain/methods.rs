//! The methods that a command line asks for, with their settings.

use data::InputEncoding;
use data::preprocess::ImageEncoding;
use explain::{
    Fill, GradCam, IntegratedGradients, Method, Occlusion, Permutation, Rise, SmoothGrad, spatial_layers,
};
use train::Network;

use super::network;
use crate::error::{Failure, Outcome};

/// Flags of the methods.
#[derive(Debug, Clone, clap::Args)]
pub struct MethodArgs {
    /// Methods, separated by commas; `all` maps of inputs, all pictures of the `network` [default:
    /// occlusion,gradient,integrated; of tables gradient-x-input,permutation]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub method: Vec<String>,
    /// occlusion: side of the hidden square, in pixels, or HEIGHTxWIDTH [default: a fifth of the picture]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    mask: Option<[usize; 2]>,
    /// occlusion: pixels from one place to the next, or DOWNxACROSS [default: half the mask]
    #[arg(long, value_name = "STEP", value_parser = size)]
    stride: Option<[usize; 2]>,
    /// What stands where a picture is hidden, and integrated gradients begin: mean (of the training pictures), black, white,
    /// grey, or #rrggbb
    #[arg(long, value_name = "COLOUR", default_value = "mean")]
    fill: String,
    /// grad-cam and pictures of the network: the layer, as `graticule summary` names it [default of grad-cam: the last with
    /// a picture as its output]
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
    /// features, activations, patches: units (channels) of the layer by number from 0, separated by commas [default: the
    /// first 16; the most active; the most particular]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub units: Vec<usize>,
    /// features, classes, inversion: steps of the search [default: 256; inversion 400]
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,
    /// embedding: about how many neighbours of a sample count in t-SNE
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    pub perplexity: f64,
    /// integrated: points between baseline and input
    #[arg(long, value_name = "N", default_value_t = 50)]
    steps: usize,
    /// smoothgrad: noisy copies
    #[arg(long, value_name = "N", default_value_t = 50)]
    copies: usize,
    /// smoothgrad: deviation of the noise, as a share of the picture's range
    #[arg(long, value_name = "SHARE", default_value_t = 0.15)]
    noise: f32,
    /// rise: random masks
    #[arg(long, value_name = "N", default_value_t = 1000)]
    masks: usize,
    /// Keys all random numbers
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Leave out the deletion and insertion curves, which tell how faithful each map is
    #[arg(long)]
    pub no_curves: bool,
}

/// What is to be done for pictures.
pub struct Chosen {
    pub methods: Vec<Method>,
    pub fill: Fill,
    /// Methods of `all` that do not suit the network, and why.
    pub left_out: Vec<String>,
}

/// What is to be done for tables.
pub struct ForTables {
    pub methods: Vec<Method>,
    pub permutation: Option<Permutation>,
}

const PERMUTATION: &str = "permutation";

impl MethodArgs {
    /// Whether pictures of the network are all that is asked for.
    pub fn only_network(&self) -> bool {
        !self.method.is_empty() && self.method.iter().all(|name| network::is_kind(name))
    }

    /// The names that are no pictures of the network.
    fn maps(&self) -> impl Iterator<Item = &str> {
        let names = self.method.iter().map(String::as_str);
        names.filter(|name| !network::is_kind(name))
    }

    /// The methods for a network of pictures.
    pub fn for_pictures(&self, network: &Network) -> Outcome<Chosen> {
        let InputEncoding::Image(encoding) = &network.preprocess().input else {
            return Err(Failure::new("this network reads tables"));
        };
        let fill = fill(&self.fill, encoding)?;
        let all = self.method.iter().any(|name| name == "all");
        let names: Vec<&str> = match (all, self.method.is_empty()) {
            (true, _) => Method::NAMES.to_vec(),
            (_, true) => vec!["occlusion", "gradient", "integrated"],
            _ => self.maps().collect(),
        };
        let mut chosen = Chosen {
            methods: Vec::new(),
            fill,
            left_out: Vec::new(),
        };
        for name in names {
            if name == PERMUTATION {
                return Err(
                    Failure::usage("permutation is for tables; this network reads pictures")
                        .at("--method")
                        .help("occlusion hides parts of pictures"),
                );
            }
            let method = self.with_settings(Method::named(name).ok_or_else(|| unknown(name))?, &chosen.fill);
            if all && name == "grad-cam" && spatial_layers(network.model()).is_empty() {
                chosen.left_out.push(
                    "grad-cam is left out: the network has no layer with a picture as its output".into(),
                );
            } else if !chosen.methods.contains(&method) {
                chosen.methods.push(method);
            }
        }
        Ok(chosen)
    }

    /// The methods for a network of tables.
    pub fn for_tables(&self) -> Outcome<ForTables> {
        let suits = [
            "gradient-x-input",
            "integrated",
            "gradient",
            "smoothgrad",
            PERMUTATION,
        ];
        let all = self.method.iter().any(|name| name == "all");
        let names: Vec<&str> = match (all, self.method.is_empty()) {
            (true, _) => suits.to_vec(),
            (_, true) => vec!["gradient-x-input", PERMUTATION],
            _ => self.maps().collect(),
        };
        let mut chosen = ForTables {
            methods: Vec::new(),
            permutation: None,
        };
        for name in names {
            if name == PERMUTATION {
                chosen.permutation = Some(Permutation::default());
                continue;
            }
            let method = Method::named(name).ok_or_else(|| unknown(name))?;
            if !suits.contains(&name) {
                return Err(
                    Failure::usage(format!("{name} is for pictures; this network reads tables"))
                        .at("--method")
                        .help(format!("for tables there are {}", suits.join(", "))),
                );
            }
            let method = self.with_settings(method, &Fill::default());
            if !chosen.methods.contains(&method) {
                chosen.methods.push(method);
            }
        }
        Ok(chosen)
    }

    fn with_settings(&self, method: Method, fill: &Fill) -> Method {
        match method {
            Method::Occlusion(_) => Method::Occlusion(Occlusion {
                size: self.mask,
                stride: self.stride,
                fill: fill.clone(),
            }),
            Method::SmoothGrad(_) => Method::SmoothGrad(SmoothGrad {
                samples: self.copies,
                noise: self.noise,
            }),
            Method::IntegratedGradients(_) => Method::IntegratedGradients(IntegratedGradients {
                steps: self.steps,
                baseline: fill.clone(),
            }),
            Method::GradCam(_) => Method::GradCam(GradCam {
                layer: self.layer.clone(),
            }),
            Method::Rise(rise) => Method::Rise(Rise {
                masks: self.masks,
                fill: fill.clone(),
                ..rise
            }),
            other => other,
        }
    }

    /// The settings as they stand on the page.
    pub fn told(&self, method: &Method) -> String {
        let side = |size: &Option<[usize; 2]>, default: &str| {
            size.map_or(default.to_string(), |[h, w]| format!("{h}x{w}"))
        };
        match method {
            Method::Occlusion(o) => format!(
                "mask {}, stride {}, fill {}",
                side(&o.size, "a fifth of the picture"),
                side(&o.stride, "half the mask"),
                self.fill
            ),
            Method::SmoothGrad(s) => format!("{} copies, noise {}, seed {}", s.samples, s.noise, self.seed),
            Method::IntegratedGradients(i) => format!("{} points from {}", i.steps, self.fill),
            Method::GradCam(g) => format!(
                "layer {}",
                g.layer
                    .as_deref()
                    .unwrap_or("the last with a picture as its output")
            ),
            Method::Rise(r) => format!(
                "{} masks of {}x{} cells, seed {}",
                r.masks, r.cells, r.cells, self.seed
            ),
            _ => String::new(),
        }
    }
}

fn unknown(name: &str) -> Failure {
    let maps = Method::NAMES.iter().copied().chain([PERMUTATION]);
    let known: Vec<&str> = maps.chain(network::names()).collect();
    let failure = Failure::usage(format!("there is no method `{name}`")).at("--method");
    let near = nn::model::nearest(name, &known);
    match near.is_empty() {
        false => failure.help(format!("did you mean {}?", near.join(" or "))),
        true => failure.help(format!("there are {}, and all", known.join(", "))),
    }
}

/// `8`, or `8x12`.
fn size(text: &str) -> Result<[usize; 2], String> {
    let number = |part: &str| part.trim().parse::<usize>().ok().filter(|&n| n > 0);
    let told = || format!("expected a number of pixels, or HEIGHTxWIDTH, not `{text}`");
    match text.split_once('x') {
        Some((h, w)) => number(h).zip(number(w)).map(|(h, w)| [h, w]).ok_or_else(told),
        None => number(text).map(|n| [n, n]).ok_or_else(told),
    }
}

/// A colour as the network reads it.
fn fill(colour: &str, encoding: &ImageEncoding) -> Outcome<Fill> {
    let level = |share: f32| {
        Ok(Fill(
            (0..encoding.channels)
                .map(|c| encoded(encoding, c, share))
                .collect(),
        ))
    };
    let hex = || colour.strip_prefix('#').filter(|h| h.len() == 6 && h.is_ascii());
    match colour {
        "mean" => Ok(Fill::default()),
        "black" => level(0.0),
        "grey" | "gray" => level(0.5),
        "white" => level(1.0),
        _ => {
            let byte = |h: &str, c: usize| u8::from_str_radix(&h[2 * c..2 * c + 2], 16).ok();
            let rgb = hex().and_then(|h| Some([byte(h, 0)?, byte(h, 1)?, byte(h, 2)?]));
            match rgb {
                Some(rgb) if encoding.channels == 3 => Ok(Fill(
                    (0..3)
                        .map(|c| encoded(encoding, c, f32::from(rgb[c]) / 255.0))
                        .collect(),
                )),
                Some(_) => Err(Failure::usage(format!(
                    "a colour for pictures of {} bands",
                    encoding.channels
                ))
                .at("--fill")
                .help("use mean, black, grey or white")),
                None => Err(Failure::usage(format!("there is no fill `{colour}`"))
                    .at("--fill")
                    .help("use mean, black, grey, white, or a colour such as #808080")),
            }
        }
    }
}

fn encoded(encoding: &ImageEncoding, band: usize, share: f32) -> f32 {
    (share - encoding.mean[band]) / encoding.std[band]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding() -> ImageEncoding {
        ImageEncoding {
            height: 4,
            width: 4,
            channels: 3,
            pixel_max: 255,
            mean: vec![0.5, 0.25, 0.0],
            std: vec![0.5, 0.25, 1.0],
            resize: false,
        }
    }

    #[test]
    fn fills_are_encoded_as_pixels_are() {
        let told = |colour| fill(colour, &encoding()).unwrap_or_else(|e| panic!("{e}")).0;
        assert_eq!(told("mean"), [0.0]);
        assert_eq!(told("black"), [-1.0, -1.0, 0.0]);
        assert_eq!(told("#ffffff"), told("white"));
        assert_eq!(told("white"), [1.0, 3.0, 1.0]);
        for wrong in ["", "#12", "#gggggg", "blue", "#äää"] {
            assert!(fill(wrong, &encoding()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_one_or_two_numbers() {
        assert_eq!((size("8"), size("3x5")), (Ok([8, 8]), Ok([3, 5])));
        assert!(["", "0", "3x", "x", "-1", "3x0"].iter().all(|t| size(t).is_err()));
    }
}

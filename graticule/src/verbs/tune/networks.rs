//! Networks of any width and depth, as lines of layers.

use train::tune::{Trial, Value};

use crate::verbs::train::flags::Choices;

/// The hyper-parameters of a network's shape.
pub const SHAPE: [&str; 4] = ["width", "depth", "dropout", "activation"];

/// A kind of network whose shape can be searched.
#[derive(Debug, Clone, PartialEq)]
pub enum Family {
    /// Dense layers, `depth` times `width` units.
    Dense {
        /// Whether inputs are images, which are flattened first.
        image: bool,
    },
    /// Stages of 3×3 convolutions with batch normalisation, each of half the size and twice the channels
    /// of the one before, then global pooling and a dense layer: `depth` stages that begin with `width`
    /// channels.
    Convolutions {
        /// Stages of the network that is taken without a search.
        usual: usize,
        /// Stages that an image of this size bears.
        most: usize,
    },
    /// A network that was given as it is.
    Fixed,
}

/// Smallest side of an image that a stage still makes something of.
const SMALLEST_MAP: usize = 4;
/// Smallest last map of `cnn-small`, whose stages are the usual number.
const USUAL_MAP: usize = 7;
const MOST_STAGES: usize = 6;

impl Family {
    /// The family that fits what was chosen, the network `model` taken otherwise, and the input.
    pub fn of(choices: &Choices, model: &str, input: &[usize]) -> Self {
        let image = input.len() == 3;
        let dense = model == "mlp" || !image;
        match (&choices.layers, &choices.model) {
            (Some(_), _) => Self::Fixed,
            (None, Some(name)) if !["mlp", "cnn-small"].contains(&name.as_str()) => Self::Fixed,
            _ if dense => Self::Dense { image },
            _ => {
                let side = input[0].min(input[1]);
                let stages = |least: usize| {
                    let halvings = (1..MOST_STAGES).take_while(|&k| side >> k >= least).count();
                    halvings + 1
                };
                let most = stages(SMALLEST_MAP);
                let usual = stages(USUAL_MAP).max(2).min(most);
                Self::Convolutions { usual, most }
            }
        }
    }

    /// The line of layers that a trial asks for, if it asks for a shape.
    pub fn layers(&self, trial: &Trial) -> Option<String> {
        if SHAPE.iter().all(|name| trial.get(name).is_none()) {
            return None;
        }
        let activation = trial.word("activation").unwrap_or("relu").replace('_', "");
        let dropout = trial.get("dropout").and_then(Value::as_f64);
        let (width, depth) = (trial.count("width"), trial.count("depth"));
        match self {
            Self::Dense { image } => {
                let (width, depth) = (width.unwrap_or(64), depth.unwrap_or(2));
                Some(dense(*image, width, depth, &activation, dropout.unwrap_or(0.0)))
            }
            Self::Convolutions { usual, .. } => {
                let (width, depth) = (width.unwrap_or(32), depth.unwrap_or(*usual));
                Some(convolutions(width, depth, &activation, dropout.unwrap_or(0.2)))
            }
            Self::Fixed => None,
        }
    }
}

fn dense(image: bool, width: usize, depth: usize, activation: &str, dropout: f64) -> String {
    let mut layers: Vec<String> = Vec::new();
    if image {
        layers.push("flatten".into());
    }
    for _ in 0..depth {
        layers.push(format!("dense {width}"));
        layers.push(activation.into());
        if dropout > 0.0 {
            layers.push(format!("dropout {dropout}"));
        }
    }
    layers.push("dense classes".into());
    layers.join(", ")
}

fn convolutions(width: usize, depth: usize, activation: &str, dropout: f64) -> String {
    let mut layers: Vec<String> = Vec::new();
    for stage in 0..depth {
        let channels = width << stage;
        let repeats = if stage == 0 { 1 } else { 2 };
        if stage > 0 {
            layers.push("maxpool 2 floor".into());
        }
        for _ in 0..repeats {
            layers.push(format!("conv {channels} 3 same nobias"));
            layers.push("batchnorm".into());
            layers.push(activation.into());
        }
    }
    layers.push("globalavgpool".into());
    if dropout > 0.0 {
        layers.push(format!("dropout {dropout}"));
    }
    layers.push("dense classes".into());
    layers.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nn::model::text::from_line;

    fn trial(values: &[(&str, Value)]) -> Trial {
        let values = values
            .iter()
            .map(|(n, v)| ((*n).to_string(), v.clone()))
            .collect();
        Trial { index: 0, values }
    }

    #[test]
    fn every_shape_is_a_network() {
        let choices = Choices::default();
        for (model, input) in [
            ("mlp", &[5][..]),
            ("cnn-small", &[8, 8, 1]),
            ("cnn-small", &[64, 48, 3]),
        ] {
            let family = Family::of(&choices, model, input);
            let most = match &family {
                Family::Convolutions { usual, most } => {
                    assert!((2..=*most).contains(usual));
                    *most
                }
                _ => 4,
            };
            for depth in 1..=most as u64 {
                for activation in ["relu", "leaky_relu", "tanh", "silu"] {
                    let trial = trial(&[
                        ("width", Value::Count(4)),
                        ("depth", Value::Count(depth)),
                        ("dropout", Value::Number(0.3)),
                        ("activation", Value::Word(activation.into())),
                    ]);
                    let line = family.layers(&trial).unwrap();
                    let built = from_line(&line, input, Some(3));
                    assert!(built.is_ok(), "{line}: {:?}", built.err());
                }
            }
        }
    }

    #[test]
    fn the_usual_shape_is_that_of_the_named_network() {
        let family = Family::of(&Choices::default(), "cnn-small", &[64, 64, 3]);
        let line = family.layers(&trial(&[("width", Value::Count(32))])).unwrap();
        let named = zoo::build("cnn-small", &[64, 64, 3], 10).unwrap();
        let built = from_line(&line, &[64, 64, 3], Some(10)).unwrap();
        assert_eq!(built.trainable_count(), named.trainable_count());
        let family = Family::of(&Choices::default(), "mlp", &[2]);
        let line = family.layers(&trial(&[("depth", Value::Count(2))])).unwrap();
        let named = zoo::build("mlp", &[2], 2).unwrap();
        assert_eq!(
            from_line(&line, &[2], Some(2)).unwrap().trainable_count(),
            named.trainable_count()
        );
    }

    #[test]
    fn given_networks_keep_their_shape() {
        let choices = Choices {
            model: Some("lenet5".into()),
            ..Choices::default()
        };
        let family = Family::of(&choices, "lenet5", &[28, 28, 1]);
        assert_eq!(family, Family::Fixed);
        assert_eq!(family.layers(&trial(&[("lr", Value::Number(0.1))])), None);
    }
}

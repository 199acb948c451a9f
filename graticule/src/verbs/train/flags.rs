//! The flags of `graticule train` that decide a new run, and how their texts are read.

use data::Augment;
use nn::{GradientClipping, Loss, Optimizer, Schedule};

/// What is chosen for a new run; everything left out has a default that fits the data.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub struct Choices {
    /// A named network (see `graticule summary`) or a model in TOML
    #[arg(long, value_name = "NAME|FILE.toml", conflicts_with = "layers")]
    pub model: Option<String>,
    /// A network in one line: "conv 6 5 same tanh, avgpool 2, flatten, dense classes"
    #[arg(long, value_name = "LINE")]
    pub layers: Option<String>,
    /// Times that the training samples are gone through
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub epochs: Option<u32>,
    /// Samples in a batch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch: Option<u32>,
    /// Learning rate
    #[arg(long, value_name = "RATE", value_parser = positive)]
    pub lr: Option<f64>,
    /// sgd, momentum:0.9, nesterov:0.9, adagrad, adadelta, rmsprop, adam, adamw
    #[arg(long, value_name = "RULE")]
    pub optimizer: Option<Optimizer>,
    /// constant, step:10:0.1, cosine, onecycle, warmup:5:cosine, plateau:0.1:10
    #[arg(long, value_name = "RULE")]
    pub schedule: Option<Schedule>,
    /// cross_entropy, binary_cross_entropy, perceptron, squared_error, absolute_error, huber:1
    #[arg(long, value_name = "LOSS")]
    pub loss: Option<Loss>,
    /// Share of each auxiliary head's loss, in networks that have such heads [default: 0.3 in googlenet, 0.4 in
    /// inception-v3; 0: no heads]
    #[arg(long, value_name = "SHARE", value_parser = not_negative)]
    pub auxiliary: Option<f64>,
    /// Weight decay of the optimizer
    #[arg(long, value_name = "λ", value_parser = not_negative)]
    pub weight_decay: Option<f64>,
    /// L1 penalty on the weights
    #[arg(long, value_name = "λ", value_parser = not_negative)]
    pub l1: Option<f64>,
    /// L2 penalty on the weights
    #[arg(long, value_name = "λ", value_parser = not_negative)]
    pub l2: Option<f64>,
    /// Share of each class target that is spread over all classes
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub label_smoothing: Option<f64>,
    /// Largest norm of the gradients, or value:LIMIT for each number
    #[arg(long, value_name = "NORM", value_parser = clipping)]
    pub clip: Option<GradientClipping>,
    /// none, default, photo, aerial, or a list: flip,flip-vertical,turns,rotation:15,shift:0.1,crop:2,scale:0.1,
    /// brightness:0.2,contrast:0.2,saturation:0.2,noise:0.1,cutout:0.25,mixup:0.2
    #[arg(long, value_name = "LIST", value_parser = augmentation)]
    pub augment: Option<Augmentation>,
    /// Defend against changes of each pixel by up to this much (black 0, white 1): every step learns from attacked pictures
    #[arg(long, value_name = "EPS", value_parser = change)]
    pub adversarial: Option<f64>,
    /// Steps of the attacks that are trained against; each costs about as much as a training step [default: 7]
    #[arg(long, value_name = "N", requires = "adversarial", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub adversarial_steps: Option<u32>,
    /// Stop after so many epochs without a better validation score
    #[arg(long, value_name = "EPOCHS", value_parser = clap::value_parser!(u32).range(1..))]
    pub patience: Option<u32>,
    /// See only the first batch, over and over: a sound network learns it by heart
    #[arg(long)]
    pub overfit_one_batch: bool,
    /// Look for a learning rate first, and use it unless --lr is given
    #[arg(long)]
    pub find_lr: bool,
    /// Afterwards race optimizers on the same task and draw their losses (all of them, or a list)
    #[arg(long, value_name = "RULES", value_delimiter = ',', num_args = 0..=1, default_missing_value = "sgd,momentum,adagrad,rmsprop,adadelta,adam,adamw")]
    pub race: Vec<Optimizer>,
    /// Afterwards train on growing shares of the training samples and draw the score
    #[arg(long)]
    pub data_sizes: bool,
    /// Make the labels of this share of the training samples wrong first
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub poison: Option<f64>,
    /// Afterwards train with these shares of wrong labels, and print and draw what each costs
    #[arg(long, value_name = "SHARES", value_delimiter = ',', num_args = 0..=1, default_missing_value = "0,0.1,0.2,0.4,0.6", value_parser = share, conflicts_with = "poison")]
    pub poisons: Vec<f64>,
    /// Write no report
    #[arg(long, conflicts_with_all = ["race", "data_sizes", "poisons"])]
    pub no_report: bool,
    /// Name of the run [default: that of the data]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// Which random changes are asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Augmentation {
    /// What fits the data.
    Default,
    /// Exactly these.
    These(Box<Augment>),
}

/// Changes for photographs: left and right may be exchanged, up and down not.
pub fn photo() -> Augment {
    Augment {
        flip_horizontal: true,
        shift: 0.06,
        brightness: 0.1,
        contrast: 0.1,
        ..Augment::default()
    }
}

/// Changes for pictures from above, which have no up: flips and quarter turns.
pub fn aerial(square: bool) -> Augment {
    Augment {
        flip_horizontal: true,
        flip_vertical: true,
        quarter_turns: square,
        ..Augment::default()
    }
}

fn augmentation(text: &str) -> Result<Augmentation, String> {
    let these = |augment| Ok(Augmentation::These(Box::new(augment)));
    match text {
        "default" => Ok(Augmentation::Default),
        "none" => these(Augment::default()),
        "photo" => these(photo()),
        "aerial" => these(aerial(true)),
        list => {
            let mut augment = Augment::default();
            list.split(',')
                .map(str::trim)
                .try_for_each(|item| add(&mut augment, item))?;
            these(augment)
        }
    }
}

/// Adds one item of a list, such as `flip` or `shift:0.1`.
fn add(augment: &mut Augment, item: &str) -> Result<(), String> {
    let (name, value) = item
        .split_once(':')
        .map_or((item, None), |(name, value)| (name, Some(value)));
    let number = |default: f32| match value {
        None => Ok(default),
        Some(text) => text
            .parse::<f32>()
            .map_err(|_| format!("`{item}`: `{text}` is not a number")),
    };
    match name {
        "flip" => augment.flip_horizontal = true,
        "flip-vertical" => augment.flip_vertical = true,
        "turns" => augment.quarter_turns = true,
        "rotation" => augment.rotation = number(15.0)?,
        "shift" => augment.shift = number(0.1)?,
        "crop" => augment.crop_padding = number(2.0)? as usize,
        "scale" => augment.scale = number(0.1)?,
        "brightness" => augment.brightness = number(0.2)?,
        "contrast" => augment.contrast = number(0.2)?,
        "saturation" => augment.saturation = number(0.2)?,
        "noise" => augment.noise = number(0.1)?,
        "cutout" => augment.cutout = number(0.25)?,
        "mixup" => augment.mixup = number(0.2)?,
        _ => {
            return Err(format!(
                "`{item}` is no such change; expected none, default, photo, aerial, or a list of flip, flip-vertical, \
                 turns, rotation, shift, crop, scale, brightness, contrast, saturation, noise, cutout, mixup"
            ));
        }
    }
    Ok(())
}

fn clipping(text: &str) -> Result<GradientClipping, String> {
    match text.parse::<f64>() {
        Ok(_) => format!("norm:{text}").parse(),
        Err(_) => text.parse(),
    }
    .map_err(|error: nn::ParseError| error.to_string())
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("expected a number above 0".into()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("expected a number from 0 on".into()),
    }
}

fn change(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err(
            "expected a number above 0, up to 1 (black is 0, white 1; 0.03 is 8 of 255 grey levels)".into(),
        ),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..1.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to below 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn augmentation_is_read_as_a_word_or_a_list() {
        let Ok(Augmentation::These(list)) = augmentation("flip, turns, shift:0.2, mixup") else {
            panic!("a list")
        };
        assert!(list.flip_horizontal && list.quarter_turns && !list.flip_vertical);
        assert_eq!((list.shift, list.mixup), (0.2, 0.2));
        assert_eq!(augmentation("default"), Ok(Augmentation::Default));
        assert!(augmentation("spin").unwrap_err().contains("rotation"));
        assert!(augmentation("shift:far").is_err());
    }

    #[test]
    fn clipping_is_a_norm_unless_it_says_otherwise() {
        assert_eq!(clipping("1.5"), Ok(GradientClipping::Norm(1.5)));
        assert_eq!(clipping("value:2"), Ok(GradientClipping::Value(2.0)));
        assert!(clipping("-1").is_err() && clipping("much").is_err());
    }
}

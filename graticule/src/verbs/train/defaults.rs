//! What a run does where nothing is asked for: network and settings that fit the data.

use data::{Augment, Dataset, InputLayout, Task};
use nn::{ClassLoss, Loss, Optimizer, Schedule};
use train::Settings;

use super::flags;

/// A network and settings that fit a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// Name of the network.
    pub model: &'static str,
    /// The optimisation.
    pub settings: Settings,
    /// Random changes of the training samples.
    pub augment: Augment,
}

/// Grey pictures in this range of sides are taken for characters, which LeNet-5 was made for.
const CHARACTERS: std::ops::RangeInclusive<usize> = 24..=40;

/// The defaults for `dataset`, and for the network `model` where one is asked for.
pub fn for_data(dataset: &Dataset, model: Option<&str>) -> Defaults {
    let samples = dataset.splits.train.len().max(1);
    let mut chosen = match dataset.layout() {
        InputLayout::Image {
            height,
            width,
            channels,
        } => images(height, width, channels, samples),
        InputLayout::Table { .. } => table(samples),
        InputLayout::Vector { .. } => points(samples),
    };
    chosen.settings.loss = loss(&dataset.task, &chosen);
    let tabular = matches!(dataset.layout(), InputLayout::Table { .. });
    let numbers = matches!(dataset.task, Task::Regression { .. });
    if tabular && !matches!(model, Some("linear" | "logistic" | "perceptron")) {
        chosen.settings.optimizer = Optimizer::adamw().weight_decay(few_rows(samples));
    }
    match model {
        Some("perceptron") => perceptron(&mut chosen, &dataset.task),
        Some("logistic") => {
            if matches!(dataset.task, Task::Classification { .. }) {
                chosen.settings.loss = Loss::BinaryCrossEntropy;
            }
        }
        Some("linear") => {}
        // A far value of a table is often a wrong one, which a square would give all the weight.
        _ if tabular && numbers => chosen.settings.loss = Loss::Huber { delta: 1.0 },
        _ => {}
    }
    chosen
}

/// Passes over `samples` samples that show about `shown` of them in all.
fn epochs(shown: usize, samples: usize, least: usize, most: usize) -> usize {
    shown.div_ceil(samples).clamp(least, most)
}

fn images(height: usize, width: usize, channels: usize, samples: usize) -> Defaults {
    let side = height.min(width);
    let model = match (side, channels) {
        (0..8, _) => "mlp",
        (_, 1) if CHARACTERS.contains(&side) => "lenet5",
        _ => "cnn-small",
    };
    let small = side < *CHARACTERS.start();
    // A grey picture is mostly writing, which must not be mirrored; a small shift or turn never hurts.
    let augment = match channels {
        1 | 2 => Augment {
            crop_padding: (side / 14).max(1),
            rotation: if small { 10.0 } else { 0.0 },
            ..Augment::default()
        },
        _ => flags::aerial(height == width),
    };
    let settings = Settings {
        epochs: epochs(150_000, samples, 10, 30),
        batch: if samples < 4000 { 32 } else { 64 },
        learning_rate: if small { 5e-3 } else { 2e-3 },
        optimizer: Optimizer::adamw().weight_decay(0.02),
        schedule: Schedule::one_cycle(),
        loader_threads: 1,
        ..Settings::default()
    };
    Defaults {
        model,
        settings,
        augment,
    }
}

fn table(samples: usize) -> Defaults {
    let settings = Settings {
        epochs: epochs(1_500_000, samples, 20, 300),
        batch: if samples < 5000 { 32 } else { 128 },
        learning_rate: 1e-2,
        optimizer: Optimizer::adamw().weight_decay(0.01),
        schedule: Schedule::one_cycle(),
        loader_threads: 0,
        ..Settings::default()
    };
    Defaults {
        model: "mlp",
        settings,
        augment: Augment::default(),
    }
}

/// The weight decay for a table of `samples` rows. What is held to be likely beforehand, small weights, counts against
/// the rows as a fixed number of rows would: 220 house prices are learned by heart without it.
fn few_rows(samples: usize) -> f64 {
    (100.0 / samples as f64).clamp(0.01, 0.5)
}

fn points(samples: usize) -> Defaults {
    let settings = Settings {
        epochs: epochs(100_000, samples, 20, 300),
        batch: 16,
        learning_rate: 1e-2,
        optimizer: Optimizer::adamw().weight_decay(1e-3),
        schedule: Schedule::one_cycle(),
        loader_threads: 0,
        ..Settings::default()
    };
    Defaults {
        model: "mlp",
        settings,
        augment: Augment::default(),
    }
}

fn loss(task: &Task, chosen: &Defaults) -> Loss {
    match task {
        Task::Classification { .. } => {
            // Pictures from a camera, and those of few pixels, have doubtful classes.
            let doubtful = chosen.augment.flip_vertical || chosen.augment.rotation > 0.0;
            let label_smoothing = if doubtful { 0.1 } else { 0.0 };
            Loss::CrossEntropy(ClassLoss {
                label_smoothing,
                ..ClassLoss::default()
            })
        }
        Task::MultiLabel { .. } => Loss::BinaryCrossEntropy,
        Task::Regression { .. } => Loss::SquaredError,
    }
}

/// Rosenblatt's rule: one sample after the other, a constant rate (row L3).
fn perceptron(chosen: &mut Defaults, task: &Task) {
    let settings = &mut chosen.settings;
    if matches!(task, Task::Regression { .. }) {
        return;
    }
    settings.loss = Loss::Perceptron;
    settings.optimizer = Optimizer::sgd();
    settings.schedule = Schedule::Constant;
    settings.learning_rate = 0.1;
    settings.batch = 1;
    settings.epochs = settings.epochs.min(100);
    chosen.augment = Augment::default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::{OpenOptions, open};

    #[test]
    fn defaults_follow_the_data() {
        let of = |name: &str, model| for_data(&open(name, &OpenOptions::default()).unwrap(), model);
        assert_eq!(of("digits", None).model, "cnn-small");
        assert_eq!(of("spiral", None).model, "mlp");
        assert_eq!(of("plane", None).settings.loss, Loss::SquaredError);
        assert_eq!(of("and", Some("perceptron")).settings.loss, Loss::Perceptron);
        assert_eq!(
            of("xor", Some("logistic")).settings.loss,
            Loss::BinaryCrossEntropy
        );
    }

    #[test]
    fn weights_of_a_small_table_are_held_down() {
        assert_eq!(few_rows(400), 0.25);
        assert_eq!(few_rows(20), 0.5);
        assert_eq!(few_rows(20_000), 0.01);
    }
}

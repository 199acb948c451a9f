//! Recurrent networks and a transformer learn to remember: a sequence's class is the sign of its first
//! number, eleven numbers of noise ago (curriculum row L37).

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use data::{
    DataError, Dataset, InputLayout, Loader, LoaderOptions, Preprocess, Raw, Source, Splits, Target, Task,
};
use engine::Engine;
use graticule_train::{
    Network, Run, Settings, Silent, Trainer, fit, predict, score, training_loader_options,
};

const STEPS: usize = 12;
const SAMPLES: usize = 700;

/// Numbers in (−1, 1) that repeat nowhere soon.
struct Remember;

impl Remember {
    fn number(index: usize, step: usize) -> f64 {
        let mut state = (index * STEPS + step + 1) as u64;
        for _ in 0..3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state ^= state >> 29;
        }
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

impl Source for Remember {
    fn len(&self) -> usize {
        SAMPLES
    }
    fn raw(&self, index: usize) -> Result<Raw, DataError> {
        let numbers: Vec<f64> = (0..STEPS).map(|step| Self::number(index, step)).collect();
        Ok(Raw::from_numbers(&numbers))
    }
    fn target(&self, index: usize) -> Result<Target, DataError> {
        Ok(Target::Class(usize::from(Self::number(index, 0) > 0.0)))
    }
    fn name_of(&self, index: usize) -> String {
        format!("sequence {index}")
    }
    fn layout(&self) -> InputLayout {
        let names = (0..STEPS).map(|step| format!("t{step}")).collect();
        InputLayout::Vector { names }
    }
}

fn dataset() -> Dataset {
    let splits = Splits {
        train: (0..500).collect(),
        test: (500..SAMPLES).collect(),
        ..Splits::default()
    };
    Dataset {
        name: "remember".into(),
        task: Task::Classification {
            classes: vec!["below".into(), "above".into()],
        },
        source: Arc::new(Remember),
        splits,
        notes: vec![],
        citation: None,
    }
}

/// Accuracy on sequences never seen, after training.
fn learn(layers: &str) -> f64 {
    let dataset = dataset();
    let preprocess = Preprocess::fit(&dataset).unwrap();
    let model = nn::model::text::from_line(layers, &[STEPS], Some(2)).unwrap();
    let settings = Settings {
        epochs: 30,
        batch: 25,
        learning_rate: 1e-2,
        ..Settings::default()
    };
    let options = training_loader_options(&settings, dataset.splits.train.len());
    let train = Loader::new(&dataset, &dataset.splits.train, &preprocess, options).unwrap();
    let test = Loader::new(
        &dataset,
        &dataset.splits.test,
        &preprocess,
        LoaderOptions::default(),
    )
    .unwrap();
    let network = Network::new(&Engine::new(2), model, preprocess, settings.seed).unwrap();
    let mut trainer = Trainer::new(network, settings, train.target_kind(), train.batches()).unwrap();
    let run = Run {
        train,
        validation: None,
        files: None,
    };
    fit(&mut trainer, &run, None, &mut Silent).unwrap();
    let mut network = trainer.into_network();
    score(&predict(&mut network, &test).unwrap(), network.task()).score
}

#[test]
fn l37_networks_of_every_kind_remember_the_first_number() {
    for (layers, least) in [
        ("reshape 12x1, lstm 16, dense classes", 0.95),
        ("reshape 12x1, gru 16, dense classes", 0.95),
        ("reshape 12x1, lstm 8 2 bidirectional, dense classes", 0.95),
        // Without gates the way back fades, so it has fewer steps to go.
        ("reshape 4x3, rnn 16, dense classes", 0.9),
        (
            "reshape 12x1, conv1d 16 1, positions, transformer 2 32 prenorm, globalavgpool, dense classes",
            0.9,
        ),
    ] {
        let accuracy = learn(layers);
        println!("{layers}: {accuracy}");
        assert!(accuracy >= least, "{layers}: {accuracy}");
    }
}

//! A small convolutional network learns handwritten digits:
//! `cargo run --release -p graticule --example train_digits`.

use graticule::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let digits = open("digits", &OpenOptions::default())?;
    let preprocess = Preprocess::fit(&digits)?;
    let settings = Settings {
        epochs: 15,
        batch: 32,
        ..Settings::default()
    };

    let image = Symbol::input("image", [8, 8, 1]);
    let x = Conv2d::new(32, 3).padding(Same).activation(Relu).on(&image)?;
    let x = MaxPool2d::new(2).on(&x)?;
    let x = Dense::new(64).activation(Relu).on(&Flatten.on(&x)?)?;
    let logits = Dense::new(10).on(&Dropout::new(0.2).on(&x)?)?;
    let model = Model::new("tiny", &image, &logits)?;

    let options = training_loader_options(&settings, digits.splits.train.len());
    let train = Loader::new(&digits, &digits.splits.train, &preprocess, options)?;
    let test = Loader::new(
        &digits,
        &digits.splits.test,
        &preprocess,
        LoaderOptions::default(),
    )?;
    let network = Network::new(&Engine::default(), model, preprocess, settings.seed)?;
    let mut trainer = Trainer::new(network, settings, train.target_kind(), train.batches())?;
    fit(
        &mut trainer,
        &Run {
            train,
            validation: None,
            files: None,
        },
        None,
        &mut Silent,
    )?;

    let mut network = trainer.into_network();
    let accuracy = score(&predict(&mut network, &test)?, network.task()).score;
    println!("test accuracy {:.1} %", 100.0 * accuracy);
    Ok(())
}

//! From a trained network to what the attacks of the explaining wing ask of it.

use data::{Dataset, InputEncoding, Loader, LoaderOptions};
use explain::attack::{Adversary, Attack, Goal, Norm, Pixels};
use train::{Network, predict_changed, score};

use crate::error::{Failure, Outcome};

/// Steps of the attack that a defended network is measured with: more than it is usually trained against.
const STEPS: usize = 20;

/// The network under attack.
pub fn adversary(network: &Network) -> Outcome<Adversary> {
    let InputEncoding::Image(encoding) = &network.preprocess().input else {
        return Err(Failure::new("this network reads tables; attacks change pixels")
            .help("take a network of pictures"));
    };
    let pixels = Pixels::new(encoding.mean.clone(), encoding.std.clone())?;
    Ok(Adversary::new(network.engine(), network.model(), pixels)?)
}

/// The share of right answers on the samples `indices` when PGD changes each pixel by up to `epsilon`.
pub fn accuracy_under(
    network: &mut Network,
    dataset: &Dataset,
    indices: &[usize],
    epsilon: f32,
) -> Outcome<f64> {
    let mut adversary = adversary(network)?;
    let attack = Attack::pgd(Norm::Max, epsilon, STEPS);
    let options = LoaderOptions {
        batch: adversary.batch()?,
        ..LoaderOptions::default()
    };
    let loader = Loader::new(dataset, indices, network.preprocess(), options)?;
    let predictions = predict_changed(network, &loader, |network, batch| {
        let data::Batch {
            inputs,
            targets,
            indices,
            ..
        } = batch;
        let key = |k: usize| [0, indices[k] as u64, 0];
        adversary.perturb(
            network.parameters_mut(),
            inputs,
            targets,
            (&attack, Goal::Away),
            key,
        )?;
        Ok(())
    })?;
    Ok(score(&predictions, network.task()).score)
}

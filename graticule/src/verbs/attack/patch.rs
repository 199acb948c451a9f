//! The adversarial patch: learnt on training samples, pasted into samples that it has not seen.

use data::{Loader, LoaderOptions};
use explain::attack::{Patch, PatchPlan, learn_patch};
use ndarray::Array3;
use serde::Serialize;

use super::page::picture;
use super::sweep::answers;
use super::{Scene, share};
use crate::error::{Failure, Outcome};
use crate::text::number;
use crate::verbs::explain::folder::Folder;
use crate::verbs::explain::output_index;
use crate::verbs::explain::progress::Bar;

/// Flags of the patch.
#[derive(Debug, Clone, clap::Args)]
pub struct PatchArgs {
    /// Also learn a patch that makes the network say this class wherever it lies, from the training samples
    #[arg(long, value_name = "CLASS")]
    patch: Option<String>,
    /// Largest share of the picture that the patch covers
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    patch_share: f64,
    /// Steps in which the patch is learnt
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    patch_steps: u32,
}

/// What the patch does to samples that it has not seen.
#[derive(Debug, Serialize)]
pub struct PatchResult {
    /// The class that it is made for.
    pub class: String,
    /// Its largest side in pixels.
    pub side: usize,
    /// Largest share of the picture that it covers.
    pub share: f64,
    /// Share of the samples of other classes that the network takes for the class.
    pub success: f64,
    /// The same for a patch of random pixels.
    pub success_of_random: f64,
    /// Share of right answers with the patch.
    pub accuracy: f64,
    /// The same for a patch of random pixels.
    pub accuracy_of_random: f64,
    /// Share of right answers without a patch.
    pub accuracy_without: f64,
    /// Its picture in the folder.
    pub file: String,
    /// The patch as a picture, and some samples with it, with what the network says of them.
    #[serde(skip)]
    pub pictures: Vec<(Array3<u8>, String)>,
}

impl PatchArgs {
    /// What was asked for, if anything.
    pub fn plan(&self, scene: &Scene, seed: u64) -> Outcome<Option<PatchPlan>> {
        let Some(class) = &self.patch else {
            return Ok(None);
        };
        if !(self.patch_share > 0.0 && self.patch_share <= 1.0) {
            let cause = format!("found {}; expected a share above 0, up to 1", self.patch_share);
            return Err(Failure::usage(cause).at("--patch-share"));
        }
        let class = output_index(&scene.network, class, "--patch")?;
        if scene.training().is_empty() || scene.part == "train" {
            return Err(
                Failure::new("there are no training samples apart from those under attack")
                    .at(&scene.dataset.name)
                    .help(
                        "a patch is learnt on some samples and tried on others: give data with a test part",
                    ),
            );
        }
        Ok(Some(PatchPlan {
            class,
            share: self.patch_share,
            steps: self.patch_steps as usize,
            rate: 0.05,
            seed,
        }))
    }
}

/// Learns the patch and tries it.
pub fn measure(
    scene: &mut Scene,
    plan: &PatchPlan,
    folder: &Folder,
    show: usize,
    bar: &Bar,
) -> Outcome<PatchResult> {
    let shape = scene.network.preprocess().input_shape();
    let (height, width) = (shape[0], shape[1]);
    bar.begin(format!("learning a patch in {} steps", plan.steps));
    let patch = learn(scene, plan, [height, width], bar)?;
    let mut shown = Vec::new();
    let without = answers(scene, |_, _, _| Ok(()), |_| ())?.accuracy();
    let with = pasted(
        scene,
        &patch,
        plan.seed,
        [height, width],
        |inputs| shown.push(inputs.to_vec()),
        show,
    )?;
    let random = Patch::random(patch.side(), patch.pixels.dim().2, plan.seed ^ 0x5eed);
    let by_random = pasted(scene, &random, plan.seed, [height, width], |_| (), 0)?;
    let square = patch.pixels.mapv(|p| (p * 255.0).round() as u8);
    let square = match square.dim().2 {
        1 | 3 => square,
        _ => square.slice_move(ndarray::s![.., .., ..1]),
    };
    let large = report::png::upscale_nearest(square.view(), 160_usize.div_ceil(patch.side()));
    let file = folder.write("patch.png".into(), &report::png::encode(large.view())?)?;
    let mut pictures = vec![(square, format!("patch for {}", scene.classes[plan.class]))];
    for (k, inputs) in shown.iter().enumerate() {
        let said = format!(
            "{} → {}",
            scene.classes[with.truth[k]], scene.classes[with.said[k]]
        );
        pictures.push((picture(&scene.network, inputs), said));
    }
    Ok(PatchResult {
        class: scene.classes[plan.class].clone(),
        side: patch.side(),
        share: (patch.side() * patch.side()) as f64 / (height * width) as f64,
        success: with.taken_for(plan.class),
        success_of_random: by_random.taken_for(plan.class),
        accuracy: with.accuracy(),
        accuracy_of_random: by_random.accuracy(),
        accuracy_without: without,
        file,
        pictures,
    })
}

/// Training samples in random order, over and over.
fn learn(scene: &mut Scene, plan: &PatchPlan, sides: [usize; 2], bar: &Bar) -> Outcome<Patch> {
    let options = LoaderOptions {
        batch: scene.adversary.batch()?.min(scene.training().len()),
        shuffle: true,
        seed: plan.seed,
        drop_last: true,
        ..LoaderOptions::default()
    };
    let loader = Loader::new(
        &scene.dataset,
        scene.training(),
        scene.network.preprocess(),
        options,
    )?;
    let (mut epoch, mut batches) = (0, loader.epoch(0));
    let next = |_: usize, samples: &mut Vec<f32>| -> Outcome {
        let batch = match batches.next() {
            Some(batch) => batch?,
            None => {
                epoch += 1;
                batches = loader.epoch(epoch);
                batches
                    .next()
                    .ok_or_else(|| Failure::new("the training samples are gone"))??
            }
        };
        samples.clear();
        samples.extend_from_slice(&batch.inputs);
        Ok(())
    };
    let told = |done| bar.at(done, plan.steps);
    learn_patch(
        &mut scene.adversary,
        scene.network.parameters_mut(),
        sides,
        plan,
        next,
        told,
    )
}

/// What the network says of all samples with a patch somewhere in each; `show` gets the first `most` of them.
fn pasted(
    scene: &mut Scene,
    patch: &Patch,
    seed: u64,
    [height, width]: [usize; 2],
    mut show: impl FnMut(&[f32]),
    most: usize,
) -> Outcome<super::sweep::Answers> {
    let mut left = most;
    answers(
        scene,
        |scene, batch, _| {
            let len = batch.inputs.len() / batch.size.max(1);
            for (sample, &index) in batch.inputs.chunks_exact_mut(len).zip(&batch.indices) {
                // Step 0 is of no learning step, so these places were not drawn before.
                let place = patch.place(height, width, [seed, 0, index as u64]);
                patch.paste(sample, width, place, scene.adversary.pixels());
                if left > 0 {
                    left -= 1;
                    show(sample);
                }
            }
            Ok(())
        },
        |_| (),
    )
}

impl PatchResult {
    /// What it did, in words.
    pub fn lines(&self) -> Vec<String> {
        vec![
            format!(
                "patch for {}: {}x{} pixels, at most {} % of the picture, at random places",
                self.class,
                self.side,
                self.side,
                number(100.0 * self.share)
            ),
            format!(
                "  {} of the samples of other classes are taken for {} (random pixels: {})",
                share(self.success),
                self.class,
                share(self.success_of_random)
            ),
            format!(
                "  accuracy {}; with random pixels {}, without a patch {}",
                share(self.accuracy),
                share(self.accuracy_of_random),
                share(self.accuracy_without)
            ),
        ]
    }
}

//! The page of an attack, and its pictures.

use data::InputEncoding;
use explain::attack::Attack;
use ndarray::{Array3, s};
use report::figures::{LineChart, Series, Style, Tile, Verdict, gallery, line_chart};
use report::html::Report;
use report::png;
use train::{Network, argmax};

use super::patch::PatchResult;
use super::sweep::{Sweep, perturb};
use super::{Args, Scene, share};
use crate::error::Outcome;
use crate::text::{number, percent, thousands};
use crate::verbs::explain::folder::Folder;

/// The page's name.
pub const NAME: &str = "attack.html";

/// A sample before and after.
struct Pair {
    name: String,
    truth: String,
    said: [(String, f64); 2],
    /// Picture, attacked picture, difference.
    pictures: [Array3<u8>; 3],
}

/// Writes the plot, the pictures and the page; gives back the names of the pictures.
pub fn write(
    args: &Args,
    scene: &mut Scene,
    sweep: &Sweep,
    patch: Option<&PatchResult>,
    folder: &Folder,
) -> Outcome<Vec<String>> {
    let size = sweep.telling();
    let pairs = match args.method.last() {
        Some(kind) => pairs(args, scene, &kind.attack(args, size))?,
        None => Vec::new(),
    };
    let mut files = Vec::new();
    for pair in &pairs {
        let stem = folder.stem(&pair.name);
        for (what, picture) in ["original", "adversarial", "difference"]
            .iter()
            .zip(&pair.pictures)
        {
            files.push(folder.write(format!("{stem}.{what}.png"), &png::encode(picture.view())?)?);
        }
    }
    let chart = line_chart(&plot(args, scene, sweep));
    folder.write("accuracy.svg".into(), chart.as_bytes())?;
    let mut report = Report::new(format!("Attack on {}", args.run.display()));
    report.subtitle(format!(
        "{} {} samples of {}; made by graticule {}",
        thousands(scene.indices.len()),
        scene.part,
        scene.dataset.name,
        env!("CARGO_PKG_VERSION")
    ));
    report.section("Accuracy against the size of the change");
    report.figure(&chart, "");
    let rows = sweep.rows(scene);
    report.table(&rows[0], &rows[1..]);
    report.text(&told(args, scene));
    if !pairs.is_empty() {
        add_pairs(&mut report, args, &pairs, size)?;
    }
    if let Some(patch) = patch {
        add_patch(&mut report, patch)?;
    }
    report.write(folder.path().join(NAME))?;
    Ok(files)
}

fn plot(args: &Args, scene: &Scene, sweep: &Sweep) -> LineChart {
    let series = |name: String, values: &[f64]| {
        let points = sweep
            .strengths
            .iter()
            .zip(values)
            .map(|(&x, &y)| (f64::from(x), 100.0 * y));
        Series::new(name, points.collect()).styled(Style::LinePoints)
    };
    let accuracy = sweep
        .curves
        .iter()
        .map(|c| series(c.method.to_string(), &c.accuracy));
    let success = sweep.curves.iter().filter_map(|c| {
        let class = &scene.classes[scene.target?];
        Some(series(format!("{}: says {class}", c.method), c.success.as_ref()?))
    });
    LineChart {
        title: "Accuracy under attack".into(),
        x_label: format!(
            "size of the change, norm {} (black 0, white 1)",
            args.norm.norm().name()
        ),
        y_label: "per cent of the samples".into(),
        series: accuracy.chain(success).collect(),
        y_range: Some((0.0, 100.0)),
        ..LineChart::default()
    }
}

fn told(args: &Args, scene: &Scene) -> String {
    let goal = match scene.target {
        Some(class) => format!("towards the class {}", scene.classes[class]),
        None => "away from the right class".into(),
    };
    format!(
        "Noise changes pixels at random. FGSM takes one step along the sign of the gradient (its direction, in the norm l2), {goal}; \
         PGD takes {} steps from a random start and is brought back into the allowed size after each (E6). The random \
         starts have the seed {}.",
        args.steps, args.seed
    )
}

/// Some samples before and after; what is told of them holds for the pictures as they are written, in whole grey levels.
fn pairs(args: &Args, scene: &mut Scene, attack: &Attack) -> Outcome<Vec<Pair>> {
    let count = scene.indices.len().min(args.show as usize);
    let mut pairs = Vec::new();
    for n in 0..count {
        let index = scene.indices[n * scene.indices.len() / count];
        let options = data::LoaderOptions::default();
        let loader = data::Loader::new(&scene.dataset, &[index], scene.network.preprocess(), options)?;
        for batch in loader.epoch(0) {
            let mut batch = batch?;
            let clean = batch.inputs.clone();
            perturb(scene, &mut batch, attack, args.seed)?;
            let truth = scene.classes[batch.targets[0] as usize].clone();
            let said = [say(scene, &clean)?, say(scene, &batch.inputs)?];
            let (before, after) = (
                picture(&scene.network, &clean),
                picture(&scene.network, &batch.inputs),
            );
            let difference = difference(&before, &after);
            pairs.push(Pair {
                name: scene.dataset.source.name_of(index),
                truth,
                said,
                pictures: [before, after, difference],
            });
        }
    }
    Ok(pairs)
}

/// What the network says of a sample in whole grey levels, and how sure it is.
fn say(scene: &mut Scene, encoded: &[f32]) -> Outcome<(String, f64)> {
    let pixels = scene.adversary.pixels();
    let level = |(place, &x): (usize, &f32)| {
        let byte = (255.0 * pixels.decode(place, x)).round().clamp(0.0, 255.0);
        pixels.encode(place, byte / 255.0)
    };
    let rounded: Vec<f32> = encoded.iter().enumerate().map(level).collect();
    let said = scene.network.infer(&rounded, 1)?.predictions;
    let class = argmax(&said);
    Ok((scene.classes[class].clone(), f64::from(said[class])))
}

/// An encoded sample as a picture for people: grey or RGB.
pub fn picture(network: &Network, encoded: &[f32]) -> Array3<u8> {
    let InputEncoding::Image(encoding) = &network.preprocess().input else {
        return Array3::zeros((1, 1, 1));
    };
    let pixels = Array3::from_shape_vec(encoding.shape(), encoding.decode(encoded)).unwrap_or_default();
    // A second or fourth channel need not be an opacity.
    let shown = match encoding.channels {
        0..=2 => 1,
        _ => 3,
    };
    pixels.slice_move(s![.., .., ..shown])
}

/// What changed: grey where nothing did, brighter where the pixel became brighter, the largest change black or white.
fn difference(before: &Array3<u8>, after: &Array3<u8>) -> Array3<u8> {
    let change = |a: u8, b: u8| i32::from(b) - i32::from(a);
    let most = before
        .iter()
        .zip(after)
        .map(|(&a, &b)| change(a, b).abs())
        .max()
        .unwrap_or(0)
        .max(1);
    let mut shown = before.clone();
    shown.zip_mut_with(after, |a, &b| {
        *a = (127.5 + 127.5 * f64::from(change(*a, b)) / f64::from(most)) as u8
    });
    shown
}

fn add_pairs(report: &mut Report, args: &Args, pairs: &[Pair], size: f32) -> Outcome {
    let kind = args.method.last().map_or("", |kind| kind.name());
    report.section("Before and after");
    let tiles = pairs.iter().flat_map(|pair| {
        let [before, after] = &pair.said;
        let said = |(class, p): &(String, f64)| format!("{class}\n{}", percent(*p)).replace(".00", "");
        let [picture, attacked, difference] = pair.pictures.clone();
        let mut attacked = Tile::new(attacked, format!("→ {}", said(after)));
        attacked.verdict = match after.0 == pair.truth {
            true => Verdict::Right,
            false => Verdict::Wrong,
        };
        [
            Tile::new(picture, said(before)),
            attacked,
            Tile::new(difference, "difference"),
        ]
    });
    let tiles: Vec<Tile> = tiles.collect();
    report.figure(
        &gallery(&format!("{kind} at {}", number(f64::from(size))), &tiles)?,
        "Each picture, attacked, and the difference (grey: no change; stretched to its largest change), with what the network \
         says of both with its probability. Framed as wrong where the answer after the attack is not the truth. The answers hold for the \
         pictures as they are written, in whole grey levels.",
    );
    Ok(())
}

fn add_patch(report: &mut Report, patch: &PatchResult) -> Outcome {
    report.section("A patch for any picture");
    report.text(&format!(
        "Learnt on training samples to make the network say {} wherever it lies ({} by {} pixels or four fifths of that, at most {} % of the \
         picture). On samples that it has not seen, {} of those of other classes are taken for {}; a patch of random pixels \
         does so with {}. Accuracy: {} with the patch, {} with random pixels, {} without.",
        patch.class,
        patch.side,
        patch.side,
        number(100.0 * patch.share),
        share(patch.success),
        patch.class,
        share(patch.success_of_random),
        share(patch.accuracy),
        share(patch.accuracy_of_random),
        share(patch.accuracy_without)
    ));
    let tiles: Vec<Tile> = patch
        .pictures
        .iter()
        .map(|(p, said)| Tile::new(p.clone(), said.as_str()))
        .collect();
    report.figure(
        &gallery("The patch, and samples with it", &tiles)?,
        "True class → what the network says.",
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_grey_where_nothing_changed() {
        let before = Array3::from_elem((1, 3, 1), 100u8);
        let mut after = before.clone();
        after[[0, 1, 0]] = 110;
        after[[0, 2, 0]] = 95;
        let shown: Vec<u8> = difference(&before, &after).into_iter().collect();
        assert_eq!(shown, [127, 255, 63]);
    }
}

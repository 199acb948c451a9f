//! Pictures of the errors (row E8) and of some samples with their best guesses (row E7).

use data::{Dataset, InputLayout, Raw, Task};
use ndarray::{Array3, s};
use report::figures::{Tile, gallery};
use report::html::Report;
use train::Predictions;

use crate::error::Outcome;
use crate::evaluation::Evaluation;
use crate::text::{percent, thousands};

/// Most errors shown; LeNet-5's 82 fit.
const MOST_ERRORS: usize = 100;
/// Samples shown with their guesses.
const EXAMPLES: usize = 18;
/// Guesses for each of them.
const GUESSES: usize = 5;

pub(super) fn add(report: &mut Report, dataset: &Dataset, evaluation: &Evaluation) -> Outcome {
    let Task::Classification { classes } = &evaluation.task else {
        return Ok(());
    };
    let InputLayout::Image { .. } = dataset.layout() else {
        return Ok(());
    };
    let predictions = &evaluation.predictions;
    let wrong = errors(predictions);
    report.section("Errors");
    if wrong.is_empty() {
        report.text("Every sample was classified right.");
    } else {
        let shown = &wrong[..wrong.len().min(MOST_ERRORS)];
        let tiles = shown
            .iter()
            .map(|&k| error_tile(dataset, predictions, classes, k))
            .collect::<Outcome<Vec<_>>>()?;
        report.figure(
            &gallery("Errors", &tiles)?,
            &format!(
                "True → predicted class with the probability of the prediction; {} of {} errors, the most confident first.",
                thousands(shown.len()),
                thousands(wrong.len())
            ),
        );
    }
    if predictions.is_empty() {
        return Ok(());
    }
    report.section("Best guesses");
    let tiles = spread(predictions.len(), EXAMPLES).map(|k| guess_tile(dataset, predictions, classes, k));
    let tiles = tiles.collect::<Outcome<Vec<_>>>()?;
    let count = classes.len().min(GUESSES);
    report.figure(
        &gallery(&format!("Top {count} guesses"), &tiles)?,
        &format!(
            "Samples from all over the {} set with the {count} most probable classes.",
            evaluation.part
        ),
    );
    Ok(())
}

/// The samples whose class is wrong, the most confident first.
fn errors(predictions: &Predictions) -> Vec<usize> {
    let wrong = |&k: &usize| predictions.class(k) != predictions.truth[k] as usize;
    let mut found: Vec<usize> = (0..predictions.len()).filter(wrong).collect();
    found.sort_by(|&a, &b| {
        confidence(predictions, b)
            .total_cmp(&confidence(predictions, a))
            .then(a.cmp(&b))
    });
    found
}

fn confidence(predictions: &Predictions, k: usize) -> f32 {
    predictions
        .of(k)
        .get(predictions.class(k))
        .copied()
        .unwrap_or(0.0)
}

/// `most` places spread evenly over `count`.
pub(super) fn spread(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let shown = count.min(most);
    (0..shown).map(move |n| n * count / shown.max(1))
}

pub(super) fn name(classes: &[String], class: usize) -> &str {
    classes.get(class).map_or("?", String::as_str)
}

fn error_tile(dataset: &Dataset, predictions: &Predictions, classes: &[String], k: usize) -> Outcome<Tile> {
    let (truth, predicted) = (
        name(classes, predictions.truth[k] as usize),
        name(classes, predictions.class(k)),
    );
    let mut tile = Tile::judged(picture(dataset, predictions.indices[k])?, truth, predicted);
    tile.caption = format!(
        "{} {}",
        tile.caption,
        percent(f64::from(confidence(predictions, k))).replace(".00", "")
    );
    Ok(tile)
}

fn guess_tile(dataset: &Dataset, predictions: &Predictions, classes: &[String], k: usize) -> Outcome<Tile> {
    let mut ranked: Vec<(usize, f32)> = predictions.of(k).iter().copied().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let guesses = ranked
        .iter()
        .take(GUESSES)
        .map(|&(class, p)| (name(classes, class).to_string(), f64::from(p)));
    let truth = name(classes, predictions.truth[k] as usize);
    let predicted = name(classes, predictions.class(k));
    Ok(Tile::judged(picture(dataset, predictions.indices[k])?, truth, predicted).guesses(guesses.collect()))
}

/// A sample as a picture with values up to 255 and at most three channels.
pub(super) fn picture(dataset: &Dataset, index: usize) -> Outcome<Array3<u8>> {
    let Raw::Image(mut pixels) = dataset.source.raw(index)? else {
        return Ok(Array3::zeros((1, 1, 1)));
    };
    let max = u16::from(dataset.source.pixel_max().max(1));
    if max != 255 {
        pixels.mapv_inplace(|p| (u16::from(p) * 255 / max).min(255) as u8);
    }
    // A second or fourth channel need not be an opacity.
    let shown = match pixels.dim().2 {
        0..=2 => 1,
        _ => 3,
    };
    Ok(pixels.slice_move(s![.., .., ..shown]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e8_errors_stand_in_the_order_of_their_confidence() {
        let predictions = Predictions {
            indices: (0..4).collect(),
            width: 2,
            values: vec![0.6, 0.4, 0.1, 0.9, 0.95, 0.05, 0.2, 0.8],
            truth: vec![1.0, 0.0, 1.0, 1.0],
            loss: 0.0,
        };
        assert_eq!(errors(&predictions), [2, 1, 0]);
    }

    #[test]
    fn examples_are_spread_over_the_set() {
        assert_eq!(spread(100, 4).collect::<Vec<_>>(), [0, 25, 50, 75]);
        assert_eq!(spread(2, 4).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(spread(0, 4).count(), 0);
    }
}

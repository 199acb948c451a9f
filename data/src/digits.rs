//! The embedded data set `digits`: 1,797 handwritten digits of 8x8 pixels (source and licence in
//! `data/assets/README.md`).

use crate::images::MemoryImages;
use crate::{DataError, Dataset, ErrorKind, Fractions, Splits, Task};
use std::io::Read;
use std::sync::Arc;

static PACKED: &[u8] = include_bytes!("../assets/digits.bin.gz");
const IMAGES: usize = 1797;
const PIXELS: usize = 64;

/// Where the digits come from.
pub const CITATION: &str = "Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine \
                            Learning Repository, doi:10.24432/C50P49, CC BY 4.0; the part scikit-learn ships.";

/// The digits, split at random by `fractions`, stratified. Pixel values run from 0 (paper) to 16 (ink).
///
/// # Errors
/// When the fractions are no shares.
pub fn dataset(fractions: Fractions, seed: u64) -> Result<Dataset, DataError> {
    let mut bytes = Vec::with_capacity(IMAGES * (PIXELS + 1));
    flate2::read::GzDecoder::new(PACKED)
        .read_to_end(&mut bytes)
        .map_err(|e| {
            DataError::new(ErrorKind::Unreadable, "embedded digits")
                .found(e)
                .expected("a gzip stream")
        })?;
    let labels = bytes.split_off(IMAGES * PIXELS);
    let classes: Vec<usize> = labels.iter().map(|&l| l.into()).collect();
    let splits = Splits::by_fraction(IMAGES, Some(&classes), fractions, seed)?;
    let source = MemoryImages::new("digits", (8, 8, 1), bytes, labels)?.with_pixel_max(16);
    Ok(Dataset {
        name: "digits".into(),
        task: Task::Classification {
            classes: (0..10).map(|d| d.to_string()).collect(),
        },
        source: Arc::new(source),
        splits,
        notes: Vec::new(),
        citation: Some(CITATION.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Raw;

    #[test]
    fn digits_are_the_ones_of_scikit_learn() {
        let digits = dataset(Fractions::default(), 0).unwrap();
        let labels = digits.labels().unwrap().unwrap();
        let count = |class| labels.iter().filter(|&&l| l == class).count();
        assert_eq!(
            (0..10).map(count).collect::<Vec<_>>(),
            [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
        );
        let Raw::Image(first) = digits.source.raw(0).unwrap() else {
            panic!("an image")
        };
        // The first rows of sklearn.datasets.load_digits().images[0], a zero.
        assert_eq!(
            first.as_slice().unwrap()[..16],
            [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]
        );
        assert_eq!(labels[0], 0);
        digits.splits.check(1797).unwrap();
    }
}

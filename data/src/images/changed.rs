//! Images held in memory, given in another size or with another number of bands.

use std::sync::Arc;

use image::{DynamicImage, GrayImage, RgbImage};
use ndarray::Array3;

use super::decode;
use crate::{DataError, Dataset, ErrorKind, InputLayout, OpenOptions, Raw, Source, Target};

/// Brings the images of a set to the size and bands that `options` ask for, when they are read. Files are decoded to
/// these already; this is for sets that lie in memory. Full white becomes 255 then. Grey gives three equal bands.
///
/// # Errors
/// When the samples are no images.
pub fn as_asked(mut dataset: Dataset, options: &OpenOptions) -> Result<Dataset, DataError> {
    if options.image_size.is_none() && options.channels.is_none() {
        return Ok(dataset);
    }
    let InputLayout::Image {
        height,
        width,
        channels,
    } = dataset.layout()
    else {
        return Err(DataError::new(ErrorKind::Option, &dataset.name)
            .found("samples that are no images, and a size or bands of images asked for")
            .expected("a set of images")
            .remedy("Leave --image-size out; a network that knows images cannot learn from numbers."));
    };
    let size = options.image_size.unwrap_or((height, width));
    let bands = options.channels.unwrap_or(channels);
    if (size, bands) == ((height, width), channels) {
        return Ok(dataset);
    }
    if size != (height, width) {
        let (to_height, to_width) = size;
        dataset.notes.push(format!(
            "Images of {height}×{width} pixels are brought to {to_height}×{to_width}."
        ));
    }
    if bands > channels {
        let note = "Grey images are given as three equal bands.";
        dataset.notes.push(note.into());
    }
    let source = dataset.source;
    dataset.source = Arc::new(Changed {
        source,
        size,
        resizes: size != (height, width),
        bands,
    });
    Ok(dataset)
}

/// The images of another source.
struct Changed {
    source: Arc<dyn Source>,
    size: (usize, usize),
    resizes: bool,
    bands: usize,
}

impl Source for Changed {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn raw(&self, index: usize) -> Result<Raw, DataError> {
        let Raw::Image(image) = self.source.raw(index)? else {
            return self.source.raw(index);
        };
        let place = self.name_of(index);
        let image = as_file(image, self.source.pixel_max(), &place)?;
        decode::pixels(image, self.bands, Some(self.size), &place).map(Raw::Image)
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        self.source.target(index)
    }

    fn name_of(&self, index: usize) -> String {
        self.source.name_of(index)
    }

    fn layout(&self) -> InputLayout {
        let (height, width) = self.size;
        InputLayout::Image {
            height,
            width,
            channels: self.bands,
        }
    }

    fn resizes(&self) -> bool {
        self.resizes || self.source.resizes()
    }
}

/// The image as if it came from a file, white being 255.
fn as_file(image: Array3<u8>, white: u8, place: &str) -> Result<DynamicImage, DataError> {
    let (height, width, channels) = image.dim();
    let white = u32::from(white.max(1));
    let bytes: Vec<u8> = image
        .iter()
        .map(|&v| ((u32::from(v) * 255 + white / 2) / white).min(255) as u8)
        .collect();
    let (w, h) = (width as u32, height as u32);
    let made = match channels {
        1 => GrayImage::from_raw(w, h, bytes).map(DynamicImage::from),
        3 => RgbImage::from_raw(w, h, bytes).map(DynamicImage::from),
        _ => None,
    };
    made.ok_or_else(|| {
        DataError::new(ErrorKind::Channels, place)
            .found(format!("an image of {channels} bands"))
            .expected("1 or 3, to be given another size or other bands")
            .remedy("Use grey or colour images, or leave --image-size out.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Preprocess, open};

    fn opened(size: Option<(usize, usize)>, channels: Option<usize>) -> Result<Dataset, DataError> {
        let options = OpenOptions {
            image_size: size,
            channels,
            ..OpenOptions::default()
        };
        open("digits", &options)
    }

    fn pixels(dataset: &Dataset, index: usize) -> Array3<u8> {
        match dataset.source.raw(index).unwrap() {
            Raw::Image(image) => image,
            Raw::Row(_) => panic!("an image"),
        }
    }

    #[test]
    fn digits_are_resized_and_widened() {
        let plain = opened(None, None).unwrap();
        let colour = opened(None, Some(3)).unwrap();
        let (grey, three) = (pixels(&plain, 5), pixels(&colour, 5));
        assert_eq!((three.dim(), colour.source.pixel_max()), ((8, 8, 3), 255));
        for (place, &value) in three.indexed_iter() {
            let expected = f64::from(grey[[place.0, place.1, 0]]) * 255.0 / 16.0;
            assert!((f64::from(value) - expected).abs() <= 0.5);
        }
        assert_eq!(colour.notes, ["Grey images are given as three equal bands."]);
        let large = opened(Some((16, 24)), None).unwrap();
        assert_eq!(pixels(&large, 5).dim(), (16, 24, 1));
        assert!(large.source.resizes() && large.notes[0].contains("brought to 16×24"));
        assert_eq!(Preprocess::fit(&large).unwrap().input_shape(), [16, 24, 1]);
        let mean = |image: Array3<u8>| image.iter().map(|&v| f64::from(v)).sum::<f64>() / image.len() as f64;
        assert!((mean(pixels(&large, 5)) - mean(three)).abs() < 4.0);
        // Nothing asked for that is not so already.
        let same = opened(Some((8, 8)), Some(1)).unwrap();
        assert_eq!((same.source.pixel_max(), same.notes.len()), (16, 0));
    }

    #[test]
    fn numbers_have_no_size() {
        let options = OpenOptions {
            image_size: Some((8, 8)),
            ..OpenOptions::default()
        };
        let told = open("spiral", &options).unwrap_err().to_string();
        assert!(
            told.contains("samples that are no images") && told.contains("--image-size"),
            "{told}"
        );
    }
}

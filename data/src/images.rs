//! Image sources: held in memory ([`MemoryImages`]), or decoded from files in a folder or a zip.

use crate::{DataError, ErrorKind, InputLayout, Raw, Source, Target};
use ndarray::Array3;
use std::borrow::Cow;

pub(crate) mod changed;
mod container;
pub mod decode;
mod files;
mod layout;

pub use files::ImageFiles;
pub(crate) use files::{open_folder, open_zip};

/// Images of one size held as bytes, each with a class.
///
/// ```
/// use graticule_data::{images::MemoryImages, Raw, Source};
/// let two = MemoryImages::new("dots", (1, 2, 1), vec![0, 255, 255, 0], vec![0, 1])?;
/// assert!(matches!(two.raw(1)?, Raw::Image(image) if image[[0, 0, 0]] == 255));
/// # Ok::<(), graticule_data::DataError>(())
/// ```
pub struct MemoryImages {
    name: String,
    shape: (usize, usize, usize),
    pixels: Cow<'static, [u8]>,
    labels: Vec<u8>,
    pixel_max: u8,
}

impl MemoryImages {
    /// Images `[N, H, W, C]` of `shape` = (H, W, C), and N class indices.
    ///
    /// # Errors
    /// When the number of bytes does not fit the shape and the number of labels.
    pub fn new(
        name: &str,
        shape: (usize, usize, usize),
        pixels: impl Into<Cow<'static, [u8]>>,
        labels: Vec<u8>,
    ) -> Result<Self, DataError> {
        let pixels = pixels.into();
        let wanted = [shape.0, shape.1, shape.2]
            .iter()
            .try_fold(labels.len(), |n, &d| n.checked_mul(d));
        if wanted != Some(pixels.len()) || pixels.is_empty() {
            return Err(DataError::new(ErrorKind::Unreadable, name)
                .found(format!(
                    "{} pixel bytes for {} labels",
                    pixels.len(),
                    labels.len()
                ))
                .expected(format!(
                    "{} x {} x {} bytes for each label",
                    shape.0, shape.1, shape.2
                ))
                .remedy("Check that images and labels belong together."));
        }
        Ok(Self {
            name: name.into(),
            shape,
            pixels,
            labels,
            pixel_max: 255,
        })
    }

    /// Sets the value that stands for full white (or full ink).
    pub fn with_pixel_max(mut self, pixel_max: u8) -> Self {
        self.pixel_max = pixel_max.max(1);
        self
    }

    fn pixels(&self, index: usize) -> Result<&[u8], DataError> {
        let size = self.shape.0 * self.shape.1 * self.shape.2;
        self.pixels
            .get(index * size..(index + 1) * size)
            .ok_or_else(|| self.no_such(index))
    }

    fn no_such(&self, index: usize) -> DataError {
        DataError::new(ErrorKind::Option, &self.name)
            .found(format!("the index {index}"))
            .expected(format!("one below {}", self.labels.len()))
            .remedy("Use a split made for this data set.")
    }
}

impl Source for MemoryImages {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn raw(&self, index: usize) -> Result<Raw, DataError> {
        let pixels = self.pixels(index)?.to_vec();
        let image = Array3::from_shape_vec(self.shape, pixels).map_err(|_| self.no_such(index))?;
        Ok(Raw::Image(image))
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        let class = *self.labels.get(index).ok_or_else(|| self.no_such(index))?;
        Ok(Target::Class(class.into()))
    }

    fn name_of(&self, index: usize) -> String {
        format!("{} image {index}", self.name)
    }

    fn layout(&self) -> InputLayout {
        let (height, width, channels) = self.shape;
        InputLayout::Image {
            height,
            width,
            channels,
        }
    }

    fn pixel_max(&self) -> u8 {
        self.pixel_max
    }

    fn with_pixels(&self, index: usize, visit: &mut dyn FnMut(&[u8])) -> Result<(), DataError> {
        visit(self.pixels(index)?);
        Ok(())
    }
}

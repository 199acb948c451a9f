//! What a foreign file has: named tensors, and where their numbers lie. Numbers are read when they are wanted.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::ForeignError;
use super::numbers::Numbers;

/// A file with named tensors.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    /// In the file's own order where it has one, else by name.
    pub(crate) tensors: Vec<Stored>,
}

/// A tensor in a file. Whoever makes one has checked that all its numbers lie inside the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// Numbers from one element of each axis to the next.
    pub(crate) strides: Vec<usize>,
    pub(crate) numbers: Numbers,
    /// Place of the first number, in bytes from the beginning of the file.
    pub(crate) start: u64,
}

/// The strides of numbers that lie row by row.
pub(crate) fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// How many numbers from the first to the last one of a tensor, both included; `None` when that overflows.
pub(crate) fn extent(shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .zip(strides)
        .try_fold(1usize, |extent, (&length, &stride)| {
            extent.checked_add((length - 1).checked_mul(stride)?)
        })
}

impl Contents {
    /// Calls `take` with the numbers of a tensor, row-major, `run` of them at a time, and the place of the first. The
    /// caller has made sure that their count is one that it expects.
    pub(crate) fn read(
        &mut self,
        place: usize,
        run: usize,
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<(), ForeignError> {
        let Some(tensor) = self.tensors.get(place) else {
            return Ok(());
        };
        let io = |source| ForeignError::io("read", &self.path, source);
        self.file.seek(SeekFrom::Start(tensor.start)).map_err(io)?;
        let span = extent(&tensor.shape, &tensor.strides).unwrap_or(usize::MAX);
        let in_rows = tensor.strides == row_major(&tensor.shape);
        let at_once = if in_rows { run.min(span) } else { span };
        let (mut bytes, mut numbers) = (vec![0; at_once.saturating_mul(tensor.numbers.size())], Vec::new());
        for first in (0..span).step_by(at_once.max(1)) {
            let count = at_once.min(span - first);
            let bytes = &mut bytes[..count * tensor.numbers.size()];
            self.file.read_exact(bytes).map_err(io)?;
            tensor.numbers.decode(bytes, &mut numbers);
            if in_rows {
                take(first, &numbers);
            }
        }
        if !in_rows {
            let gathered = gather(&numbers, &tensor.shape, &tensor.strides);
            let runs = gathered.chunks(run.max(1)).enumerate();
            runs.for_each(|(k, numbers)| take(k * run, numbers));
        }
        Ok(())
    }
}

/// Strided numbers in rows.
fn gather(numbers: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    let count = shape.iter().product();
    let mut gathered = Vec::with_capacity(count);
    let mut index = vec![0; shape.len()];
    for _ in 0..count {
        let place: usize = index.iter().zip(strides).map(|(i, stride)| i * stride).sum();
        gathered.push(numbers.get(place).copied().unwrap_or(f32::NAN));
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    gathered
}

/// Opens a file and tells its length.
pub(crate) fn open(path: &Path) -> Result<(File, u64), ForeignError> {
    let io = |source| ForeignError::io("read", path, source);
    let file = File::open(path).map_err(io)?;
    let found = file.metadata().map_err(io)?;
    if found.is_dir() {
        return Err(io(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
    }
    Ok((file, found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_and_extents() {
        assert_eq!(row_major(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(extent(&[2, 3, 4], &[12, 4, 1]), Some(24));
        assert_eq!(extent(&[2, 3], &[0, 1]), Some(3));
        assert_eq!(extent(&[0, usize::MAX], &[9, 9]), Some(0));
        assert_eq!(extent(&[usize::MAX, 2], &[2, 2]), None);
        let numbers: Vec<f32> = (0..6).map(|i| i as f32).collect();
        assert_eq!(gather(&numbers, &[3, 2], &[1, 3]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(gather(&numbers, &[2, 2], &[0, 5]), [0.0, 5.0, 0.0, 5.0]);
    }
}

//! The file, or two: a message of protocol buffers may have 2 GiB, so larger weights lie beside it.

use std::path::Path;

use prost::Message;

use super::super::proto::{ModelProto, StringStringEntryProto, TensorProto};
use super::ExportError;
use crate::write_atomically;

/// Above this many bytes of numbers they go to a file of their own.
const BESIDE: usize = 1_900_000_000;
/// Where tensors begin in that file: a page, so that readers may map them.
const PAGE: usize = 4096;

/// Writes `model` to `path`, and weights of more than 1.9 GB to `path` with `.data` at its end, which must stay
/// beside it. Each is written under a temporary name and renamed.
///
/// # Errors
/// [`ExportError::Io`] when the file system refuses.
pub fn write(mut model: ModelProto, path: &Path) -> Result<(), ExportError> {
    let io = |source| ExportError::Io {
        path: path.into(),
        source,
    };
    let tensors = model
        .graph
        .as_mut()
        .map(|g| &mut g.initializer[..])
        .unwrap_or_default();
    if tensors.iter().map(bytes_of).sum::<usize>() > BESIDE {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".data");
        let name = Path::new(&beside)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let data = move_beside(tensors, &name);
        write_atomically(Path::new(&beside), &data).map_err(io)?;
    }
    write_atomically(path, &model.encode_to_vec()).map_err(io)
}

fn bytes_of(tensor: &TensorProto) -> usize {
    tensor.raw_data.as_ref().map_or(0, Vec::len)
}

/// Takes the numbers out of the large tensors and says where they lie now.
fn move_beside(tensors: &mut [TensorProto], file: &str) -> Vec<u8> {
    let mut data = Vec::with_capacity(tensors.iter().map(|t| bytes_of(t).next_multiple_of(PAGE)).sum());
    for tensor in tensors.iter_mut().filter(|t| bytes_of(t) >= PAGE) {
        let numbers = tensor.raw_data.take().unwrap_or_default();
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: key.into(),
            value,
        };
        tensor.external_data = vec![
            entry("location", file.into()),
            entry("offset", data.len().to_string()),
            entry("length", numbers.len().to_string()),
        ];
        tensor.data_location = 1;
        data.extend(&numbers);
        data.resize(data.len().next_multiple_of(PAGE), 0);
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_is_found_again() {
        let tensor = |count: usize| TensorProto {
            raw_data: Some((0..count).map(|k| k as u8).collect()),
            ..TensorProto::default()
        };
        let mut tensors = [tensor(5000), tensor(8), tensor(4096)];
        let data = move_beside(&mut tensors, "weights.data");
        assert_eq!(tensors[1], tensor(8));
        for (k, count) in [(0, 5000), (2, 4096)] {
            let place: Vec<&str> = tensors[k]
                .external_data
                .iter()
                .map(|e| e.value.as_str())
                .collect();
            let [file, offset, length] = place[..] else {
                panic!("three entries")
            };
            let (offset, length): (usize, usize) = (offset.parse().unwrap(), length.parse().unwrap());
            assert_eq!((file, length), ("weights.data", count));
            assert_eq!(
                Some(&data[offset..offset + length]),
                tensor(count).raw_data.as_deref()
            );
        }
    }
}

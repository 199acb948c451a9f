//! Numbers out of a tensor of the file.

use std::path::{Component, Path};
use std::sync::Arc;

use super::OnnxError;
use super::host::{Host, MAX_ELEMENTS, MAX_RANK, Numbers, is_float};
use super::proto::{DataType, TensorProto};

/// The shape of `tensor`, if it is a sound one.
fn shape_of(tensor: &TensorProto) -> Result<Vec<usize>, String> {
    let sound =
        |&d: &i64| usize::try_from(d).map_err(|_| format!("its shape {:?} has a negative axis", tensor.dims));
    let shape: Vec<usize> = tensor.dims.iter().map(sound).collect::<Result<_, _>>()?;
    if shape.len() > MAX_RANK {
        return Err(format!(
            "it has {} axes, more than {MAX_RANK} are not supported",
            shape.len()
        ));
    }
    let elements = shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
    match elements.filter(|&n| n <= MAX_ELEMENTS) {
        Some(_) => Ok(shape),
        None => Err(format!(
            "its shape {shape:?} has more elements than the {MAX_ELEMENTS} that are read"
        )),
    }
}

/// The numbers of `tensor`. Data in other files are read from `folder`, and from nowhere else.
///
/// # Errors
/// [`OnnxError::Tensor`] when type, shape and data do not agree, or the data lie outside the folder.
pub fn decode(tensor: &TensorProto, folder: Option<&Path>) -> Result<Host, OnnxError> {
    numbers(tensor, folder).map_err(|problem| OnnxError::Tensor {
        name: tensor.name.clone(),
        problem,
    })
}

fn numbers(tensor: &TensorProto, folder: Option<&Path>) -> Result<Host, String> {
    let kind = DataType::try_from(tensor.data_type).unwrap_or(DataType::Undefined);
    let shape = shape_of(tensor)?;
    let count: usize = shape.iter().product();
    let raw = match (tensor.data_location, &tensor.raw_data) {
        (1, _) => Some(external(tensor, folder, count, kind)?),
        // Files of other programs may hold an empty field beside the numbers.
        (_, Some(raw)) if !raw.is_empty() => Some(raw.clone()),
        _ => None,
    };
    let numbers = match raw {
        Some(raw) => from_bytes(kind, &raw)?,
        None => from_fields(kind, tensor)?,
    };
    let host = Host { kind, shape, numbers };
    if host.len() != count {
        let found = host.len();
        return Err(format!(
            "its shape {:?} asks for {count} numbers, its data hold {found}",
            host.shape
        ));
    }
    Ok(host)
}

/// Bytes of one number; `None` for types that are not read.
fn width(kind: DataType) -> Option<usize> {
    Some(match kind {
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        _ => return None,
    })
}

fn unread(kind: DataType) -> String {
    format!("the element type {kind:?} is not supported")
}

fn from_bytes(kind: DataType, raw: &[u8]) -> Result<Numbers, String> {
    let width = width(kind).ok_or_else(|| unread(kind))?;
    if !raw.len().is_multiple_of(width) {
        return Err(format!(
            "{} bytes of data are no whole number of {kind:?} numbers",
            raw.len()
        ));
    }
    fn chunks<const N: usize, T>(raw: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
        raw.as_chunks::<N>()
            .0
            .iter()
            .map(|chunk| number(*chunk))
            .collect()
    }
    Ok(match kind {
        DataType::Float => Numbers::Float(Arc::new(chunks(raw, f32::from_le_bytes))),
        DataType::Double => Numbers::Float(Arc::new(chunks(raw, |b| f64::from_le_bytes(b) as f32))),
        DataType::Float16 => Numbers::Float(Arc::new(chunks(raw, |b| half(u16::from_le_bytes(b))))),
        DataType::Bfloat16 => Numbers::Float(Arc::new(chunks(raw, |b| brain(u16::from_le_bytes(b))))),
        DataType::Int64 => Numbers::Whole(Arc::new(chunks(raw, i64::from_le_bytes))),
        DataType::Uint64 => Numbers::Whole(Arc::new(chunks(raw, |b| clamped(u64::from_le_bytes(b))))),
        DataType::Int32 => Numbers::Whole(Arc::new(chunks(raw, |b| i32::from_le_bytes(b).into()))),
        DataType::Uint32 => Numbers::Whole(Arc::new(chunks(raw, |b| u32::from_le_bytes(b).into()))),
        DataType::Int16 => Numbers::Whole(Arc::new(chunks(raw, |b| i16::from_le_bytes(b).into()))),
        DataType::Uint16 => Numbers::Whole(Arc::new(chunks(raw, |b| u16::from_le_bytes(b).into()))),
        DataType::Int8 => Numbers::Whole(Arc::new(chunks(raw, |b| i8::from_le_bytes(b).into()))),
        _ => Numbers::Whole(Arc::new(chunks(raw, |b| u8::from_le_bytes(b).into()))),
    })
}

fn from_fields(kind: DataType, tensor: &TensorProto) -> Result<Numbers, String> {
    let bits = |&x: &i32| x as u16;
    Ok(match kind {
        DataType::Float => Numbers::Float(Arc::new(tensor.float_data.clone())),
        DataType::Double => Numbers::Float(Arc::new(tensor.double_data.iter().map(|&x| x as f32).collect())),
        DataType::Float16 => Numbers::Float(Arc::new(tensor.int32_data.iter().map(bits).map(half).collect())),
        DataType::Bfloat16 => {
            Numbers::Float(Arc::new(tensor.int32_data.iter().map(bits).map(brain).collect()))
        }
        DataType::Int64 => Numbers::Whole(Arc::new(tensor.int64_data.clone())),
        DataType::Uint32 | DataType::Uint64 => {
            Numbers::Whole(Arc::new(tensor.uint64_data.iter().map(|&x| clamped(x)).collect()))
        }
        kind if width(kind).is_some() => {
            Numbers::Whole(Arc::new(tensor.int32_data.iter().map(|&x| x.into()).collect()))
        }
        kind => return Err(unread(kind)),
    })
}

fn clamped(x: u64) -> i64 {
    i64::try_from(x).unwrap_or(i64::MAX)
}

/// The number with these bits as IEEE half precision.
fn half(bits: u16) -> f32 {
    let (sign, exponent, mantissa) = (bits >> 15, (bits >> 10) & 31, f32::from(bits & 1023));
    let size = match exponent {
        0 => mantissa * 2f32.powi(-24),
        31 if mantissa == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + mantissa) * 2f32.powi(i32::from(exponent) - 25),
    };
    if sign == 1 { -size } else { size }
}

/// The number with these bits as bfloat16, the upper half of an f32.
fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The bytes of a tensor whose data lie in another file of the model's folder.
fn external(
    tensor: &TensorProto,
    folder: Option<&Path>,
    count: usize,
    kind: DataType,
) -> Result<Vec<u8>, String> {
    let entry = |key: &str| {
        tensor
            .external_data
            .iter()
            .find(|e| e.key == key)
            .map(|e| e.value.as_str())
    };
    let location = entry("location").ok_or("its data lie in another file that is not named")?;
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| format!("its {key} `{text}` is no whole number")),
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    let asked = (count * width(kind).ok_or_else(|| unread(kind))?) as u64;
    if length.is_some_and(|l| l != asked) {
        let length = length.unwrap_or_default();
        return Err(format!(
            "its shape asks for {asked} bytes, {length} are said to lie in `{location}`"
        ));
    }
    let folder = folder.ok_or_else(|| {
        format!("its data lie in another file, `{location}`, and the model was not read from a folder")
    })?;
    let inside = Path::new(location)
        .components()
        .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(format!(
            "its data lie in `{location}`, outside the model's folder; move the file into the folder"
        ));
    }
    read_part(folder, location, offset, asked)
}

fn read_part(folder: &Path, location: &str, offset: u64, asked: u64) -> Result<Vec<u8>, String> {
    use std::io::{Read, Seek, SeekFrom};
    let cannot = |e: std::io::Error| format!("its data file `{location}` cannot be read: {e}");
    // A link may lead out of the folder just as well as a path.
    let path = folder.join(location).canonicalize().map_err(cannot)?;
    let home = folder.canonicalize().map_err(cannot)?;
    if !path.starts_with(&home) {
        return Err(format!(
            "its data file `{location}` is a link out of the model's folder; copy it there"
        ));
    }
    let mut file = std::fs::File::open(&path).map_err(cannot)?;
    let size = file.metadata().map_err(cannot)?.len();
    if offset.checked_add(asked).is_none_or(|end| end > size) {
        return Err(format!(
            "{asked} bytes from {offset} on are asked of `{location}`, which has {size}"
        ));
    }
    file.seek(SeekFrom::Start(offset)).map_err(cannot)?;
    let mut bytes = vec![0; asked as usize];
    file.read_exact(&mut bytes).map_err(cannot)?;
    Ok(bytes)
}

/// Whether numbers of this type are read at all.
pub fn is_read(kind: DataType) -> bool {
    is_float(kind) || width(kind).is_some()
}

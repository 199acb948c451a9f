//! Arrays as NumPy writes them (`.npy`, format 1.0): `numpy.load` opens them.

/// The file of an f32 array in row-major order.
///
/// ```
/// let bytes = graticule_interchange::npy::bytes(&[2, 1], &[1.0, -2.0]);
/// assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
/// assert_eq!(bytes.len(), 128 + 8);
/// ```
///
/// `shape` has as many elements as there are `values`; the header is padded to a multiple of 64 bytes.
pub fn bytes(shape: &[usize], values: &[f32]) -> Vec<u8> {
    // NumPy's tuples: `()`, `(3,)`, `(3, 4)`.
    let axes: String = shape.iter().map(|axis| format!("{axis}, ")).collect();
    let axes = match shape.len() {
        1 => axes.trim_end(),
        _ => axes.trim_end_matches(", "),
    };
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({axes}), }}");
    let whole = (10 + header.len() + 1).next_multiple_of(64);
    header.extend(std::iter::repeat_n(' ', whole - 11 - header.len()));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn headers_are_those_of_numpy() {
        for (shape, written) in [(&[][..], "()"), (&[3], "(3,)"), (&[3, 4, 5], "(3, 4, 5)")] {
            let count = shape.iter().product();
            let file = bytes(shape, &vec![1.5; count]);
            let length = usize::from(u16::from_le_bytes([file[8], file[9]]));
            let header = std::str::from_utf8(&file[10..10 + length]).unwrap_or_default();
            assert!(
                header.contains(&format!("'shape': {written}, }}")) && header.ends_with('\n'),
                "{header}"
            );
            assert_eq!((10 + length) % 64, 0);
            assert_eq!(file.len(), 10 + length + 4 * count);
        }
    }
}

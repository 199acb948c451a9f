//! The kinds of numbers that foreign files hold, and their way to f32.

/// A kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Numbers {
    /// Bytes of one number.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Little-endian bytes as f32, in place of what `to` had; bytes that fill no number are left.
    pub(crate) fn decode(self, bytes: &[u8], to: &mut Vec<f32>) {
        to.clear();
        match self {
            Self::F64 => each(bytes, to, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => each(bytes, to, f32::from_le_bytes),
            Self::F16 => each(bytes, to, |b| half(u16::from_le_bytes(b))),
            Self::Bf16 => each(bytes, to, |b| {
                f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)
            }),
            Self::I64 => each(bytes, to, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => each(bytes, to, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => each(bytes, to, |b| f32::from(i16::from_le_bytes(b))),
            Self::I8 => each(bytes, to, |b| f32::from(i8::from_le_bytes(b))),
            Self::U8 | Self::Bool => each(bytes, to, |[b]| f32::from(b)),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], to: &mut Vec<f32>, number: impl Fn([u8; N]) -> f32) {
    to.extend(bytes.as_chunks::<N>().0.iter().map(|word| number(*word)));
}

/// IEEE half precision: 1 sign, 5 exponent, 10 fraction bits.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        e => (1.0 + fraction / 1024.0) * 2f32.powi(e - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(kind: Numbers, bytes: &[u8]) -> Vec<f32> {
        let mut numbers = vec![9.0];
        kind.decode(bytes, &mut numbers);
        numbers
    }

    #[test]
    fn every_kind_becomes_f32() {
        let halves = [0x3c00u16, 0xc000, 0x0001, 0x7bff, 0x3555]
            .map(u16::to_le_bytes)
            .concat();
        let expected = [1.0, -2.0, 2f32.powi(-24), 65_504.0, 0.333_251_95];
        assert_eq!(decoded(Numbers::F16, &halves), expected);
        assert!(half(0x7e00).is_nan() && half(0xfc00) == f32::NEG_INFINITY);
        assert_eq!(
            decoded(Numbers::Bf16, &[0x80, 0x3f, 0x49, 0xc0]),
            [1.0, -3.140_625]
        );
        assert_eq!(decoded(Numbers::F64, &0.1f64.to_le_bytes()), [0.1]);
        assert_eq!(decoded(Numbers::I64, &(-7i64).to_le_bytes()), [-7.0]);
        assert_eq!(decoded(Numbers::I8, &[255, 3]), [-1.0, 3.0]);
        assert_eq!(decoded(Numbers::Bool, &[0, 1]), [0.0, 1.0]);
    }
}

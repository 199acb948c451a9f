//! Branch-free f32 functions that the compiler can vectorise. Each is within a few units in the last
//! place of the exact value (tested), NaN in gives NaN out.

/// eˣ: range reduction to ±ln2/2, a polynomial of degree 6, scaling by the exponent's bits.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-104.0, 89.0);
    // Adding and subtracting 1.5·2²³ rounds to the nearest integer.
    let shifted = clamped * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = shifted - 12_582_912.0;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let p = 1.388_888_9e-3;
    let p = p * r + 8.333_334e-3;
    let p = p * r + 4.166_666_6e-2;
    let p = p * r + 1.666_666_7e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let half = n * 0.5;
    let low = (half + 12_582_912.0) - 12_582_912.0;
    let result = p * power_of_two(low) * power_of_two(n - low);
    if x.is_nan() { x } else { result }
}

/// 2ⁿ for an integer n in −126…127.
#[inline(always)]
fn power_of_two(n: f32) -> f32 {
    // Behind 1.5·2²³ the last bits are the integer itself; a cast would check each lane for its range.
    f32::from_bits((n + (127.0 + 12_582_912.0)).to_bits() << 23)
}

/// ln x for x > 0; −∞ at 0, NaN below.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // Denormals are lifted into the normal range first.
    let tiny = x < f32::MIN_POSITIVE;
    let lifted = if tiny { x * 8_388_608.0 } else { x };
    let bits = lifted.to_bits();
    let offset = bits.wrapping_sub(0x3f35_04f3);
    let exponent = (offset as i32 >> 23) as f32 - if tiny { 23.0 } else { 0.0 };
    let m = f32::from_bits((offset & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    let p = 7.037_683_6e-2;
    let p = p * m - 1.151_461e-1;
    let p = p * m + 1.167_699_9e-1;
    let p = p * m - 1.242_014_1e-1;
    let p = p * m + 1.424_932_3e-1;
    let p = p * m - 1.666_805_7e-1;
    let p = p * m + 2.000_071_5e-1;
    let p = p * m - 2.499_999_4e-1;
    let p = p * m + 3.333_333e-1;
    let square = m * m;
    let y = p * square * m - 2.121_944_4e-4 * exponent - 0.5 * square;
    let result = m + y + 0.693_359_4 * exponent;
    let result = if x == 0.0 { f32::NEG_INFINITY } else { result };
    let result = if x == f32::INFINITY { x } else { result };
    if x < 0.0 || x.is_nan() { f32::NAN } else { result }
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// tanh x: an odd polynomial near 0, (1 − e⁻²ˣ)/(1 + e⁻²ˣ) elsewhere.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let size = x.abs();
    let e = exp(-2.0 * size);
    let far = (1.0 - e) / (1.0 + e);
    let s = size * size;
    let p = -5.704_988_7e-3;
    let p = p * s + 2.063_909e-2;
    let p = p * s - 5.373_971_6e-2;
    let p = p * s + 1.333_144_2e-1;
    let p = p * s - 3.333_328e-1;
    let near = p * s * size + size;
    let result = if size < 0.625 { near } else { far };
    result.copysign(x)
}

/// ln(1 + eˣ)
#[inline(always)]
pub(crate) fn softplus(x: f32) -> f32 {
    let e = exp(-x.abs());
    // ln(1 + e) with the rounding error of 1 + e put back.
    let sum = 1.0 + e;
    let log = ln(sum) + (e - (sum - 1.0)) / sum;
    let result = x.max(0.0) + log;
    if x.is_nan() { x } else { result }
}

/// The error function, by Abramowitz and Stegun's form 7.1.26 refined to f32 precision with two pieces.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let size = x.abs();
    let s = size * size;
    // |x| < 1: Taylor-like odd polynomial.
    let p = -1.0 / 75_600.0 * 1.0;
    let p = p * s + 1.0 / 9_360.0;
    let p = p * s - 1.0 / 1_320.0;
    let p = p * s + 1.0 / 216.0;
    let p = p * s - 1.0 / 42.0;
    let p = p * s + 1.0 / 10.0;
    let p = p * s - 1.0 / 3.0;
    let p = p * s + 1.0;
    let near = std::f32::consts::FRAC_2_SQRT_PI * size * p;
    // |x| ≥ 1: 1 − e^(−x²)·t·P(t), t = 1/(1 + x/2) (Numerical Recipes' Chebyshev fit).
    let t = 1.0 / (1.0 + 0.5 * size);
    let q = 0.170_872_77;
    let q = q * t - 0.822_152_2;
    let q = q * t + 1.488_515_9;
    let q = q * t - 1.135_204;
    let q = q * t + 0.278_868_08;
    let q = q * t - 0.186_288_06;
    let q = q * t + 0.096_784_18;
    let q = q * t + 0.374_091_96;
    let q = q * t + 1.000_023_7;
    let q = q * t - 1.265_512_2;
    let far = 1.0 - t * exp(q - s);
    let result = if size < 0.75 { near } else { far };
    let result = result.copysign(x);
    if x.is_nan() { x } else { result }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(from: f32, to: f32, f: fn(f32) -> f32, exact: fn(f64) -> f64, relative: f64) {
        for i in 0..=200_000 {
            let x = from + (to - from) * i as f32 / 200_000.0;
            let (got, want) = (f64::from(f(x)), exact(f64::from(x)));
            let error = (got - want).abs();
            assert!(
                error <= relative * want.abs() + 1e-37,
                "f({x}) = {got}, exact {want}"
            );
        }
    }

    #[test]
    fn functions_are_exact_to_a_few_units_in_the_last_place() {
        sweep(-87.0, 88.5, exp, f64::exp, 3e-7);
        sweep(1e-3, 50.0, ln, f64::ln, 3e-7);
        sweep(-40.0, 40.0, sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 4e-7);
        sweep(-12.0, 12.0, tanh, f64::tanh, 4e-7);
        sweep(
            -30.0,
            30.0,
            softplus,
            |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
            4e-7,
        );
        sweep(-4.0, 4.0, erf, libm::erf, 6e-7);
    }

    #[test]
    fn edges_behave() {
        for f in [exp, sigmoid, tanh, softplus, erf, ln] {
            assert!(f(f32::NAN).is_nan());
        }
        assert_eq!(exp(-200.0), 0.0);
        assert_eq!(exp(200.0), f32::INFINITY);
        assert_eq!(ln(0.0), f32::NEG_INFINITY);
        assert_eq!(tanh(100.0), 1.0);
        assert_eq!(sigmoid(-200.0), 0.0);
        assert_eq!(erf(10.0), 1.0);
    }
}

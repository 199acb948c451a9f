//! Where axis ticks stand and what they say.

/// Round positions inside `[low, high]`, at most `most` of them, a step of 1, 2 or 5 times a power of ten apart.
///
/// `whole` keeps the step at 1 or more, for counts such as epochs.
pub(super) fn linear(low: f64, high: f64, most: usize, whole: bool) -> (Vec<f64>, f64) {
    let span = high - low;
    let most = most.max(2);
    if !(span > 0.0 && span.is_finite()) {
        return (vec![low], 1.0);
    }
    let mut step = round_up(span / most as f64);
    if whole {
        step = step.max(1.0);
    }
    loop {
        let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
        let count = last - first + 1.0;
        if count <= most as f64 {
            let ticks = (0..count.max(0.0) as usize).map(|i| clean_zero((first + i as f64) * step, step));
            return (ticks.collect(), step);
        }
        step = round_up(step * 1.1);
    }
}

/// The smallest of 1, 2, 5 × 10ᵏ that is not below `value`.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let candidates = [1.0, 2.0, 5.0, 10.0];
    candidates
        .into_iter()
        .map(|c| c * power)
        .find(|&c| c >= value * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

fn clean_zero(value: f64, step: f64) -> f64 {
    if value.abs() < step * 1e-6 { 0.0 } else { value }
}

/// Positions on a logarithmic axis over `[low, high]`, both positive: decades, thinned or filled with 2 and 5.
pub(super) fn logarithmic(low: f64, high: f64, most: usize) -> Vec<f64> {
    let most = most.max(2);
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let inside = |v: &f64| *v >= low * (1.0 - 1e-9) && *v <= high * (1.0 + 1e-9);
    for multiples in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0][..]] {
        let fine: Vec<f64> = (first..=last)
            .flat_map(|decade| multiples.iter().map(move |m| m * 10f64.powi(decade)))
            .filter(inside)
            .collect();
        if fine.len() <= most {
            return if fine.len() >= 2 {
                fine
            } else {
                linear(low, high, most.min(4), false).0
            };
        }
    }
    let stride = ((last - first + 1) as usize).div_ceil(most).max(1) as i32;
    (first..=last)
        .filter(|decade| decade.rem_euclid(stride) == 0)
        .map(|decade| 10f64.powi(decade))
        .filter(inside)
        .collect()
}

/// Labels for ticks `step` apart: one SI suffix and one number of decimals for the whole axis.
pub(super) fn labels(ticks: &[f64], step: f64) -> Vec<String> {
    let largest = ticks.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    if !(1e-3..1e15).contains(&largest) {
        return ticks.iter().map(|&v| scientific(v)).collect();
    }
    let (mut scale, mut suffix) = si(largest);
    if decimals_of(step / scale) > 3 {
        // A small step on a large offset reads better without a suffix.
        (scale, suffix) = (1.0, "");
    }
    let decimals = decimals_of(step / scale);
    ticks
        .iter()
        .map(|&v| match v {
            0.0 => "0".to_string(),
            v => format!("{}{suffix}", minus(format!("{:.decimals$}", v / scale))),
        })
        .collect()
}

/// One number as an axis or a note writes it: at most four significant digits, SI suffix from ten thousand on.
pub(super) fn short(value: f64) -> String {
    rounded(value, 4)
}

/// One number with at most `digits` significant digits after its point, and an SI suffix from ten thousand on.
pub(super) fn rounded(value: f64, digits: i32) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".into()
        } else {
            minus(format!("{value}").replace("inf", "∞"))
        };
    }
    if value == 0.0 {
        return "0".into();
    }
    if !(1e-4..1e15).contains(&size) {
        return scientific(value);
    }
    let (scale, suffix) = si(size);
    let scaled = value / scale;
    let decimals = (digits - 1 - scaled.abs().log10().floor() as i32).clamp(0, 7) as usize;
    let mut text = format!("{scaled:.decimals$}");
    if text.contains('.') {
        text = text.trim_end_matches('0').trim_end_matches('.').to_string();
    }
    format!("{}{suffix}", minus(text))
}

fn si(largest: f64) -> (f64, &'static str) {
    match largest {
        v if v < 1e4 => (1.0, ""),
        v if v < 1e6 => (1e3, "k"),
        v if v < 1e9 => (1e6, "M"),
        v if v < 1e12 => (1e9, "G"),
        _ => (1e12, "T"),
    }
}

fn decimals_of(step: f64) -> usize {
    if step >= 1.0 && (step - step.round()).abs() < 1e-9 {
        return 0;
    }
    (1..12)
        .find(|&d| {
            let shifted = step * 10f64.powi(d);
            (shifted - shifted.round()).abs() < 1e-6 * shifted.max(1.0) && shifted.round() >= 1.0
        })
        .unwrap_or(12) as usize
}

/// `2.5×10⁻⁵`, with a lone power of ten where the mantissa is 1.
fn scientific(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let text = format!("{value:.2e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    let power = format!("10{}", exponent.chars().map(superscript).collect::<String>());
    match mantissa {
        "1" => power,
        "-1" => format!("−{power}"),
        _ => format!("{}×{power}", minus(mantissa.to_string())),
    }
}

fn superscript(c: char) -> char {
    match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => c
            .to_digit(10)
            .and_then(|d| char::from_u32(0x2070 + d))
            .unwrap_or(c),
    }
}

fn minus(text: String) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_share_suffix_and_decimals() {
        assert_eq!(labels(&[0.0, 0.25, 0.5], 0.25), ["0", "0.25", "0.50"]);
        assert_eq!(
            labels(&[-10_000.0, 0.0, 20_000.0], 10_000.0),
            ["−10k", "0", "20k"]
        );
        assert_eq!(
            labels(&[100_000.01, 100_000.02], 0.01),
            ["100000.01", "100000.02"]
        );
        assert_eq!(labels(&[1.5e6, 2e6], 5e5), ["1.5M", "2.0M"]);
        assert_eq!(labels(&[1e-5, 2e-5], 1e-5), ["10⁻⁵", "2×10⁻⁵"]);
    }

    #[test]
    fn short_numbers() {
        let cases = [
            (0.98125, "0.9812"),
            (20_640.0, "20.64k"),
            (1e-7, "10⁻⁷"),
            (-3.0, "−3"),
            (1500.0, "1500"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        assert_eq!(short(f64::NEG_INFINITY), "−∞");
    }

    #[test]
    fn whole_axes_have_no_half_epochs() {
        assert_eq!(linear(1.0, 3.0, 8, true).0, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn decades_are_filled_when_few_and_thinned_when_many() {
        assert_eq!(logarithmic(1.0, 20.0, 8), [1.0, 2.0, 5.0, 10.0, 20.0]);
        let many = logarithmic(1e-9, 1e9, 6);
        assert!(many.len() <= 7 && many.contains(&1.0), "{many:?}");
    }

    proptest! {
        #[test]
        fn linear_ticks_are_few_inside_and_distinctly_named(
            low in -1e12f64..1e12, span in 1e-6f64..1e12, most in 2usize..12,
        ) {
            let span = span.max(low.abs() * 1e-9);
            let (ticks, step) = linear(low, low + span, most, false);
            prop_assert!(!ticks.is_empty() || most == 2);
            prop_assert!(ticks.len() <= most);
            prop_assert!(ticks.iter().all(|&t| t >= low - step * 1e-6 && t <= low + span + step * 1e-6));
            let names = labels(&ticks, step);
            prop_assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        }

        #[test]
        fn log_ticks_rise_inside_the_range(low in 1e-12f64..1e6, ratio in 1.01f64..1e12, most in 2usize..10) {
            let high = low * ratio;
            let ticks = logarithmic(low, high, most);
            prop_assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(ticks.iter().all(|&t| t >= low * 0.999_999 && t <= high * 1.000_001));
            prop_assert!(ticks.len() <= most + 1);
        }
    }
}

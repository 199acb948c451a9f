//! Colours that readers with colour-vision deficiencies can tell apart.

/// A colour as sRGB bytes.
pub type Rgb = [u8; 3];

/// Categorical colours after Okabe and Ito (2008), ordered so that the first ones also hold on white paper.
pub const CATEGORIES: [Rgb; 8] = [
    [0, 114, 178],   // blue
    [213, 94, 0],    // vermillion
    [0, 158, 115],   // bluish green
    [230, 159, 0],   // orange
    [204, 121, 167], // reddish purple
    [86, 180, 233],  // sky blue
    [139, 128, 0],   // olive: Okabe and Ito's yellow vanishes on white
    [127, 127, 127], // grey
];

/// A continuous map from `[0, 1]` to colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourMap {
    /// Dark violet to yellow, even steps in lightness (after viridis); for fields.
    #[default]
    Viridis,
    /// Dark blue to yellow, the same for all colour vision (after cividis).
    Cividis,
    /// Orange through white to blue, for values on both sides of a middle.
    Diverging,
    /// Black to white.
    Grey,
}

const VIRIDIS: [Rgb; 10] = [
    [68, 1, 84],
    [72, 40, 120],
    [62, 73, 137],
    [49, 104, 142],
    [38, 130, 142],
    [31, 158, 137],
    [53, 183, 121],
    [110, 206, 88],
    [181, 222, 43],
    [253, 231, 37],
];
const CIVIDIS: [Rgb; 5] = [
    [0, 34, 78],
    [66, 78, 108],
    [124, 123, 120],
    [187, 173, 108],
    [254, 232, 56],
];
const DIVERGING: [Rgb; 5] = [
    [179, 88, 6],
    [241, 163, 64],
    [247, 247, 247],
    [103, 169, 207],
    [5, 93, 158],
];
const GREY: [Rgb; 2] = [[0, 0, 0], [255, 255, 255]];

impl ColourMap {
    /// The colour at `t`; values outside `[0, 1]` take the nearest end and NaN the lower one.
    ///
    /// ```
    /// use graticule_report::colour::ColourMap;
    /// assert_eq!(ColourMap::Grey.at(0.5), [128, 128, 128]);
    /// assert_eq!(ColourMap::Viridis.at(7.0), [253, 231, 37]);
    /// ```
    pub fn at(self, t: f64) -> Rgb {
        let anchors: &[Rgb] = match self {
            Self::Viridis => &VIRIDIS,
            Self::Cividis => &CIVIDIS,
            Self::Diverging => &DIVERGING,
            Self::Grey => &GREY,
        };
        let t = if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) };
        let position = t * (anchors.len() - 1) as f64;
        let below = (position as usize).min(anchors.len() - 2);
        mix(anchors[below], anchors[below + 1], position - below as f64)
    }
}

/// `a` and `b` mixed, `share` of `b` in `[0, 1]`.
pub fn mix(a: Rgb, b: Rgb, share: f64) -> Rgb {
    std::array::from_fn(|i| (f64::from(a[i]) + (f64::from(b[i]) - f64::from(a[i])) * share).round() as u8)
}

/// The colour as CSS writes it, `#rrggbb`.
pub fn css([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// The ink, black or white, that reads better on `background` (WCAG 2 relative luminance).
pub fn ink_on(background: Rgb) -> &'static str {
    if luminance(background) > 0.18 {
        "#000000"
    } else {
        "#ffffff"
    }
}

fn luminance(rgb: Rgb) -> f64 {
    let linear = rgb.map(|byte| {
        let value = f64::from(byte) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_grow_lighter_all_the_way() {
        for map in [ColourMap::Viridis, ColourMap::Cividis, ColourMap::Grey] {
            let steps: Vec<f64> = (0..=100)
                .map(|i| luminance(map.at(f64::from(i) / 100.0)))
                .collect();
            assert!(steps.windows(2).all(|pair| pair[1] >= pair[0]), "{map:?}");
        }
    }

    #[test]
    fn ink_is_readable_on_every_map_colour() {
        for map in [
            ColourMap::Viridis,
            ColourMap::Cividis,
            ColourMap::Diverging,
            ColourMap::Grey,
        ] {
            for i in 0..=100 {
                let paper = map.at(f64::from(i) / 100.0);
                let (light, dark) = (1.05 / (luminance(paper) + 0.05), (luminance(paper) + 0.05) / 0.05);
                let contrast = if ink_on(paper) == "#ffffff" { light } else { dark };
                assert!(contrast >= 4.5, "{map:?} at {i}: {contrast}");
            }
        }
    }

    #[test]
    fn out_of_range_takes_an_end() {
        assert_eq!(ColourMap::Viridis.at(f64::NAN), ColourMap::Viridis.at(0.0));
        assert_eq!(ColourMap::Diverging.at(-3.0), DIVERGING[0]);
        assert_eq!(css([0, 114, 178]), "#0072b2");
    }
}

//! Numbers in a picture of pixels, where there is no font: digits of 3×5 dots.

use ndarray::Array3;

/// Pixels of a dot's side.
const DOT: usize = 2;
/// Height of a line.
pub(super) const HEIGHT: usize = 5 * DOT;
/// Width of a character with the room behind it.
const STEP: usize = 4 * DOT;

/// Rows of a character from the top, three bits each, the left dot first.
fn dots(character: char) -> [u8; 5] {
    match character {
        '0' => [7, 5, 5, 5, 7],
        '1' => [2, 6, 2, 2, 7],
        '2' => [7, 1, 7, 4, 7],
        '3' => [7, 1, 7, 1, 7],
        '4' => [5, 5, 7, 1, 1],
        '5' => [7, 4, 7, 1, 7],
        '6' => [7, 4, 7, 5, 7],
        '7' => [7, 1, 2, 2, 2],
        '8' => [7, 5, 7, 5, 7],
        '9' => [7, 5, 7, 1, 7],
        '.' => [0, 0, 0, 0, 2],
        '-' | '−' => [0, 0, 7, 0, 0],
        '+' => [0, 2, 7, 2, 0],
        'e' | 'E' => [0, 7, 7, 4, 7],
        _ => [0; 5],
    }
}

/// A number with three digits that matter, in characters that there are dots for.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (1e-2..1e4).contains(&size) => {
            let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
            let text = format!("{value:.decimals$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
                false => text,
            }
        }
        _ => format!("{value:.1e}"),
    }
}

/// Pixels that a number takes from left to right.
pub(super) fn width(text: &str) -> usize {
    text.chars().count() * STEP
}

/// Writes a number in black with its upper left corner at `[y, x]`; what lies beyond the picture is left out.
pub(super) fn write(picture: &mut Array3<u8>, [top, left]: [usize; 2], text: &str) {
    for (place, character) in text.chars().enumerate() {
        for (row, bits) in dots(character).into_iter().enumerate() {
            for column in (0..3).filter(|column| bits >> (2 - column) & 1 == 1) {
                let corner = [top + row * DOT, left + place * STEP + column * DOT];
                blot(picture, corner);
            }
        }
    }
}

fn blot(picture: &mut Array3<u8>, [top, left]: [usize; 2]) {
    for (y, x) in (0..DOT * DOT).map(|k| (top + k / DOT, left + k % DOT)) {
        for c in 0..picture.dim().2 {
            if let Some(byte) = picture.get_mut([y, x, c]) {
                *byte = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_a_number_has_dots() {
        for value in [0.0, -0.25, 1234.0, 1.5e-7, -3e12, 6.789, 0.0123] {
            let text = number(value);
            assert!(text.chars().all(|c| dots(c) != [0; 5]), "{text}");
        }
        assert_eq!([0.25, -1.0, 6.789].map(number), ["0.25", "-1", "6.79"]);
    }
}

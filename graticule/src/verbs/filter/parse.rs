//! The values of `filter`'s flags.

use data::filter::{PadValue, Padding, Pool};
use ndarray::Array2;

/// `valid`, `same`, `full` or a count of pixels.
pub fn padding(text: &str) -> Result<Padding, String> {
    match text {
        "valid" => Ok(Padding::Valid),
        "same" => Ok(Padding::Same),
        "full" => Ok(Padding::Full),
        count => count
            .parse()
            .map(Padding::explicit)
            .map_err(|_| "expected valid, same, full or a whole number of pixels".into()),
    }
}

/// `zero`, `mirror` or a number.
pub fn pad_value(text: &str) -> Result<PadValue, String> {
    match text {
        "zero" => Ok(PadValue::Zero),
        "mirror" | "symmetric" => Ok(PadValue::Symmetric),
        value => number(value)
            .map(PadValue::Constant)
            .map_err(|_| "expected zero, mirror or a number".into()),
    }
}

/// Rows divided by `;` or line ends, weights by blanks or commas; all rows equally long.
pub fn matrix(text: &str) -> Result<Array2<f32>, String> {
    let text = text
        .trim()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches(';');
    let mut weights = Vec::new();
    let mut columns = 0;
    let mut rows = 0;
    for (index, line) in text.split([';', '\n']).enumerate() {
        let before = weights.len();
        for cell in line.split([' ', '\t', ',']).filter(|cell| !cell.is_empty()) {
            let place = format!("row {}, column {}", index + 1, weights.len() - before + 1);
            weights.push(number(cell).map_err(|_| format!("{place}: `{cell}` is not a number"))?);
        }
        let found = weights.len() - before;
        if found == 0 {
            return Err(format!("row {} has no weights", index + 1));
        }
        if index > 0 && found != columns {
            return Err(format!(
                "row {} has {found} weights, row 1 has {columns}",
                index + 1
            ));
        }
        columns = found;
        rows += 1;
    }
    Array2::from_shape_vec((rows, columns), weights).map_err(|error| error.to_string())
}

/// Two whole numbers divided by a comma.
pub fn pair(text: &str) -> Result<[isize; 2], String> {
    let told = || "expected two whole numbers, such as 10,-4".to_string();
    let (first, second) = text.split_once(',').ok_or_else(told)?;
    match (first.trim().parse(), second.trim().parse()) {
        (Ok(first), Ok(second)) => Ok([first, second]),
        _ => Err(told()),
    }
}

/// The three values of `--pool`.
pub fn pool(values: &[String]) -> Result<(Pool, usize, usize), String> {
    let [kind, size, stride] = values else {
        return Err("expected a kind, a size and a stride, such as max 2 2".into());
    };
    let kind = match kind.as_str() {
        "max" => Pool::Max,
        "min" => Pool::Min,
        "average" | "avg" | "mean" => Pool::Average,
        "sum" => Pool::Sum,
        "l2" => Pool::L2,
        other => {
            return Err(format!(
                "`{other}` is no kind of pooling; there are max, min, average, sum and l2"
            ));
        }
    };
    let cells = |name: &str, text: &str| match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!(
            "the {name} is `{text}`, expected a whole number of at least 1"
        )),
    };
    Ok((kind, cells("size", size)?, cells("stride", stride)?))
}

/// A finite number.
pub fn number(text: &str) -> Result<f32, String> {
    match text.trim().parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("`{text}` is not a finite number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_matrix_is_read_with_blanks_and_commas() {
        assert_eq!(
            matrix("1 0 -1; 2,0,-2").unwrap(),
            array![[1., 0., -1.], [2., 0., -2.]]
        );
        assert_eq!(matrix("[0.5]").unwrap(), array![[0.5]]);
    }

    #[test]
    fn a_bad_matrix_names_its_place() {
        assert_eq!(matrix("1 0; 1").unwrap_err(), "row 2 has 1 weights, row 1 has 2");
        assert_eq!(
            matrix("1 0; 1 x").unwrap_err(),
            "row 2, column 2: `x` is not a number"
        );
        assert_eq!(
            pair("1;2").unwrap_err(),
            "expected two whole numbers, such as 10,-4"
        );
        assert_eq!(pair("-1, 2"), Ok([-1, 2]));
        assert_eq!(matrix("").unwrap_err(), "row 1 has no weights");
        assert_eq!(
            matrix("nan").unwrap_err(),
            "row 1, column 1: `nan` is not a number"
        );
    }
}

//! Small texts for people: aligned columns, counts with thin groups, shares.

/// Rows as lines: every column as wide as its widest cell, columns of numbers set right.
pub fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &Vec<String>, k: usize| row.get(k).cloned().unwrap_or_default();
    let width = |k: usize| {
        rows.iter()
            .map(|row| cell(row, k).chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    // The first row is the header, whose words say nothing of the column.
    let numeric: Vec<bool> = (0..count)
        .map(|k| rows.iter().skip(1).all(|row| is_number(&cell(row, k))))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = (0..count).map(|k| match numeric[k] {
            true => format!("{:>width$}", cell(row, k), width = widths[k]),
            false => format!("{:<width$}", cell(row, k), width = widths[k]),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

fn is_number(text: &str) -> bool {
    text.is_empty()
        || text
            .replace([',', '%', ' ', '–', 'x', '×'], "")
            .parse::<f64>()
            .is_ok()
}

/// A count with commas: `20,640`.
pub fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A share as per cent with two decimals: `98.52 %`.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// A measured number, short: four significant digits, exponents for the very small and large.
pub fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value == 0.0 || !value.is_finite() => value.to_string(),
        _ if !(1e-4..1e7).contains(&size) => format!("{value:.3e}"),
        _ => {
            let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
            let text = format!("{value:.decimals$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
                false => text,
            }
        }
    }
}

/// A time span: `42 s`, `3 min 05 s`, `1 h 02 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let rows = [["class", "count"], ["forest", "7"], ["sea", "1,200"]];
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|r| r.iter().map(|c| c.to_string()).collect())
            .collect();
        assert_eq!(
            columns(&rows),
            ["class   count", "forest      7", "sea     1,200"]
        );
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (thousands(1234567), thousands(12)),
            ("1,234,567".into(), "12".into())
        );
        assert_eq!(percent(0.98519), "98.52 %");
        let told: Vec<String> = [0.0, 0.25, 1234.567, 0.000012, 3e9, -0.5].map(number).into();
        assert_eq!(told, ["0", "0.25", "1235", "1.200e-5", "3.000e9", "-0.5"]);
        assert_eq!(
            (duration(4.25), duration(185.0), duration(3725.0)),
            ("4.2 s".into(), "3 min 05 s".into(), "1 h 02 min".into())
        );
    }
}

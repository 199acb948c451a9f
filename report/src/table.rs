//! Tables of the HTML report.

use std::fmt::Write;

use crate::svg::escape;

/// A table that scrolls sideways where it does not fit; columns of numbers are set right.
pub(crate) fn table_html<H: AsRef<str>, C: AsRef<str>>(headers: &[H], rows: &[Vec<C>]) -> String {
    let cell = |row: &Vec<C>, column: usize| {
        row.get(column)
            .map(|c| c.as_ref().to_string())
            .unwrap_or_default()
    };
    let columns = rows
        .iter()
        .map(Vec::len)
        .chain([headers.len()])
        .max()
        .unwrap_or(0);
    let classes: Vec<&str> = (0..columns)
        .map(|column| {
            let mut filled = rows
                .iter()
                .map(|row| cell(row, column))
                .filter(|text| !text.is_empty())
                .peekable();
            let numeric = filled.peek().is_some() && filled.all(|text| is_number(&text));
            if numeric { " class=\"number\"" } else { "" }
        })
        .collect();
    let mut html = String::from("<div class=\"scroll\"><table>\n<thead><tr>");
    for (column, class) in classes.iter().enumerate() {
        let name = headers.get(column).map_or("", AsRef::as_ref);
        let _ = write!(html, "<th scope=\"col\"{class}>{}</th>", escape(name));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (column, class) in classes.iter().enumerate() {
            let _ = write!(html, "<td{class}>{}</td>", escape(&cell(row, column)));
        }
        html.push_str("</tr>\n");
    }
    html + "</tbody>\n</table></div>\n"
}

/// Whether a cell reads as one number, perhaps with a unit behind it, or as a dash for "none".
fn is_number(text: &str) -> bool {
    let text = text
        .trim()
        .trim_start_matches(['−', '-', '+', '±', '≈', '<', '>', '≤', '≥', ' ']);
    if matches!(text, "" | "–" | "—" | "NaN" | "∞") {
        return true;
    }
    let first = text.split_whitespace().next().unwrap_or_default();
    let digits = |c: char| c.is_ascii_digit() || "⁰¹²³⁴⁵⁶⁷⁸⁹⁻.,'eE+-−%kMGT×/".contains(c);
    first.starts_with(|c: char| c.is_ascii_digit()) && first.chars().all(digits) && text.chars().count() < 24
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_names() {
        for number in [
            "0.93",
            "−1.5",
            "95.4 %",
            "1 600",
            "2.5×10⁻⁵",
            "–",
            "3 min 20 s",
            "394k",
        ] {
            assert!(is_number(number), "{number}");
        }
        for name in ["forest", "3x3 conv", "conv 1", "2nd", "[28, 28, 1]"] {
            assert!(!is_number(name), "{name}");
        }
    }

    #[test]
    fn short_and_long_rows_make_a_full_table() {
        let html = table_html(&["a"], &[vec!["x"], vec!["y", "z"], vec![]]);
        assert_eq!(
            (html.matches("<th ").count(), html.matches("<td").count()),
            (2, 6)
        );
    }
}

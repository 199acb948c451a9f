//! The layer table as aligned text.

use std::fmt;

use super::{LayerRow, Summary};

const HEAD: [&str; 8] = [
    "layer",
    "kind",
    "output",
    "parameters",
    "MACs",
    "FLOPs",
    "sees",
    "as dense",
];

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![HEAD.map(String::from)];
        lines.extend(self.layers.iter().map(cells));
        let total = [
            "total".to_string(),
            String::new(),
            String::new(),
            thousands(self.parameters as u64),
            thousands(self.macs),
            thousands(self.flops),
            String::new(),
            String::new(),
        ];
        let widths: Vec<usize> = (0..HEAD.len())
            .map(|c| {
                lines
                    .iter()
                    .chain([&total])
                    .map(|l| l[c].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let rule = "─".repeat(widths.iter().sum::<usize>() + 2 * (HEAD.len() - 1));
        for (i, line) in lines.iter().enumerate() {
            write_line(f, line, &widths)?;
            if i == 0 {
                writeln!(f, "{rule}")?;
            }
        }
        writeln!(f, "{rule}")?;
        write_line(f, &total, &widths)?;
        let fixed = self.parameters - self.trainable;
        write!(
            f,
            "{} parameters, {} trainable, {} not",
            thousands(self.parameters as u64),
            thousands(self.trainable as u64),
            thousands(fixed as u64)
        )
    }
}

fn cells(row: &LayerRow) -> [String; 8] {
    let axes: Vec<String> = row.output_shape.iter().skip(1).map(usize::to_string).collect();
    [
        row.name.clone(),
        row.kind.clone(),
        axes.join("×"),
        thousands(row.parameters as u64),
        thousands(row.macs),
        thousands(row.flops),
        row.receptive_field
            .map_or(String::new(), |[h, w]| format!("{h}×{w}")),
        row.as_dense.map_or(String::new(), thousands),
    ]
}

/// Text to the left, numbers to the right.
fn write_line(f: &mut fmt::Formatter<'_>, cells: &[String; 8], widths: &[usize]) -> fmt::Result {
    let padded = cells.iter().zip(widths).enumerate().map(|(i, (cell, &width))| {
        if i < 3 {
            format!("{cell:<width$}")
        } else {
            format!("{cell:>width$}")
        }
    });
    let line = padded.collect::<Vec<_>>().join("  ");
    writeln!(f, "{}", line.trim_end())
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

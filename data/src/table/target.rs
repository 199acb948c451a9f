//! What is to be learnt from a table: classes or numbers.

use super::columns::{ColumnData, TableColumn};
use super::is_numeric;
use super::read::{self, RawTable};
use crate::{DataError, ErrorKind, OpenOptions, Target, Task, TaskKind};

/// Most classes of a target column.
const MAX_CLASSES: usize = 1000;

/// The targets of all rows.
pub(super) enum Targets {
    Classes(Vec<usize>),
    /// One list for each target.
    Values(Vec<(String, Vec<f64>)>),
}

impl Targets {
    pub(super) fn of(&self, row: usize) -> Option<Target> {
        match self {
            Targets::Classes(classes) => classes.get(row).map(|&c| Target::Class(c)),
            Targets::Values(columns) => {
                let values = columns.iter().map(|(_, v)| v.get(row).map(|&v| v as f32));
                values.collect::<Option<_>>().map(Target::Values)
            }
        }
    }

    pub(super) fn classes(&self) -> Option<&[usize]> {
        if let Targets::Classes(classes) = self {
            Some(classes)
        } else {
            None
        }
    }

    pub(super) fn numeric(&self) -> Vec<(&str, Vec<f64>)> {
        match self {
            Targets::Classes(_) => Vec::new(),
            Targets::Values(columns) => columns.iter().map(|(n, v)| (n.as_str(), v.clone())).collect(),
        }
    }
}

/// The target columns: the one of the option, or several with commas between them.
pub(super) fn names(options: &OpenOptions, raw: &RawTable, place: &str) -> Result<Vec<String>, DataError> {
    let Some(target) = &options.target else {
        return Err(DataError::new(ErrorKind::MissingColumn, place)
            .found("a table, but no word on which column to learn")
            .expected(format!("one of: {}", raw.headers.join(", ")))
            .remedy("Name it with --target."));
    };
    if raw.headers.contains(target) {
        return Ok(vec![target.clone()]);
    }
    let names: Vec<String> = target.split(',').map(|n| n.trim().to_owned()).collect();
    for name in &names {
        read::find_column(&raw.headers, name, place)?;
    }
    Ok(names)
}

/// Decides between classification and regression and gives the targets.
pub(super) fn decide(
    mut columns: Vec<TableColumn>,
    lines: &[u64],
    options: &OpenOptions,
    place: &str,
    notes: &mut Vec<String>,
) -> Result<(Task, Targets), DataError> {
    let numeric = columns.iter().all(|c| is_numeric(c.kind()));
    let regression = options.task.map_or(numeric, |task| task == TaskKind::Regression);
    let several = columns.len() > 1;
    if !regression && !several {
        let column = columns.remove(0);
        return classes(&column, lines, &format!("{place}, column `{}`", column.name));
    }
    let mut values = Vec::new();
    for column in columns {
        let ColumnData::Numeric(numbers) = column.data else {
            return Err(
                DataError::new(ErrorKind::Target, format!("{place}, column `{}`", column.name))
                    .found("texts")
                    .expected("numbers, for a regression; a classification has one target column")
                    .remedy("Choose another target, or classification."),
            );
        };
        if let Some(count) = few_integers(&numbers) {
            notes.push(format!(
                "Target `{}` has only {count} different whole numbers and is learnt as a number; choose \
                 classification if they are classes.",
                column.name
            ));
        }
        values.push((column.name, numbers));
    }
    let targets = values.iter().map(|(name, _)| name.clone()).collect();
    Ok((Task::Regression { targets }, Targets::Values(values)))
}

fn few_integers(numbers: &[f64]) -> Option<usize> {
    let mut distinct = std::collections::BTreeSet::new();
    for &n in numbers {
        distinct.insert(n.to_bits());
        if n.fract() != 0.0 || distinct.len() > 20 {
            return None;
        }
    }
    (distinct.len() * 10 <= numbers.len()).then_some(distinct.len())
}

fn classes(column: &TableColumn, lines: &[u64], place: &str) -> Result<(Task, Targets), DataError> {
    let (names, of_row) = match &column.data {
        ColumnData::Categorical { codes, levels } => by_name(codes, levels),
        ColumnData::Numeric(numbers) => by_number(numbers, lines, place)?,
    };
    let error = match names.len() {
        0 | 1 => DataError::new(ErrorKind::OneClass, place)
            .found(format!(
                "one class only, `{}`",
                names.first().map_or("", String::as_str)
            ))
            .expected("at least two classes"),
        n if n > MAX_CLASSES => DataError::new(ErrorKind::Target, place)
            .found(format!("{n} different values"))
            .expected(format!("at most {MAX_CLASSES} classes")),
        _ => return Ok((Task::Classification { classes: names }, Targets::Classes(of_row))),
    };
    Err(error.remedy("Choose another target column, or regression."))
}

/// Classes in the order of their names; levels without a row are no classes.
fn by_name(codes: &[u32], levels: &[String]) -> (Vec<String>, Vec<usize>) {
    let mut used = vec![false; levels.len()];
    codes.iter().for_each(|&c| used[c as usize] = true);
    let mut order: Vec<usize> = (0..levels.len()).filter(|&c| used[c]).collect();
    order.sort_by(|&a, &b| levels[a].cmp(&levels[b]));
    let mut class_of = vec![0; levels.len()];
    order
        .iter()
        .enumerate()
        .for_each(|(class, &code)| class_of[code] = class);
    let names = order.iter().map(|&code| levels[code].clone()).collect();
    (names, codes.iter().map(|&c| class_of[c as usize]).collect())
}

/// Classes in the order of their numbers.
fn by_number(numbers: &[f64], lines: &[u64], place: &str) -> Result<(Vec<String>, Vec<usize>), DataError> {
    let mut distinct: Vec<f64> = numbers.to_vec();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    check_range(numbers, &distinct, lines, place)?;
    let class = |n: &f64| distinct.partition_point(|d| d < n);
    let of_row = numbers.iter().map(class).collect();
    Ok((distinct.iter().map(f64::to_string).collect(), of_row))
}

/// Labels that run from 0 or 1 without a gap, and then a single row far outside: that row is a mistake.
fn check_range(numbers: &[f64], distinct: &[f64], lines: &[u64], place: &str) -> Result<(), DataError> {
    let Some(first) = [0.0, 1.0].into_iter().find(|f| distinct.contains(f)) else {
        return Ok(());
    };
    let mut end = first;
    while distinct.contains(&end) {
        end += 1.0;
    }
    let outside: Vec<usize> = (0..numbers.len())
        .filter(|&row| !(first..end).contains(&numbers[row]) || numbers[row].fract() != 0.0)
        .collect();
    let rare = outside.len() * 100 <= numbers.len() || outside.len() == 1;
    if outside.is_empty() || end - first < 2.0 || !rare {
        return Ok(());
    }
    let row = outside[0];
    Err(
        DataError::new(ErrorKind::LabelRange, format!("{place}, line {}", lines[row]))
            .found(format!("the label {}", numbers[row]))
            .expected(format!(
                "a whole number from {first} to {}, as in the other rows",
                end - 1.0
            ))
            .remedy("Correct or remove the row; if it is right, declare the column categorical."),
    )
}

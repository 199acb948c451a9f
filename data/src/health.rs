//! The health check of a data set: what `data inspect` shows before anyone trusts a score (S3, S21).

use crate::statistics::{Outlier, outliers_by_nature};
use crate::table::OUTLIER_SCORE;
use crate::{Cell, DataError, Dataset, InputLayout, Raw, Role, Target, Task};
use serde::Serialize;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Findings of each kind that are listed by name; the counts are always complete.
const LISTED: usize = 20;

/// Samples of one class in each role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Name of the class.
    pub class: String,
    /// Training samples.
    pub train: usize,
    /// Validation samples.
    pub validation: usize,
    /// Test samples.
    pub test: usize,
}

/// What one column of a table looks like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnHealth {
    /// Name of the column.
    pub name: String,
    /// Missing cells.
    pub missing: usize,
    /// Different values.
    pub distinct: usize,
    /// Smallest number, for numeric columns.
    pub min: Option<f64>,
    /// Largest number, for numeric columns.
    pub max: Option<f64>,
    /// Values far from the rest: how many.
    pub outliers: usize,
}

/// A value far from the rest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutlierFound {
    /// Column or target.
    pub column: String,
    /// Name of the sample.
    pub sample: String,
    /// The value.
    pub value: f64,
    /// Robust z-score.
    pub score: f64,
}

/// Two equal inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// Name and role of the first.
    pub first: (String, String),
    /// Name and role of the second.
    pub second: (String, String),
    /// Whether their targets are equal too.
    pub same_target: bool,
}

/// All findings.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HealthReport {
    /// Number of samples.
    pub samples: usize,
    /// Number of samples for each role, and without one.
    pub roles: Vec<(String, usize)>,
    /// Samples of each class and role.
    pub classes: Vec<ClassCount>,
    /// Height, width and channels, for images.
    pub image_size: Option<(usize, usize, usize)>,
    /// The columns, for tables; the targets of a regression last.
    pub columns: Vec<ColumnHealth>,
    /// The farthest values.
    pub outliers: Vec<OutlierFound>,
    /// Equal inputs in different roles: test scores are too good by them.
    pub leaks: usize,
    /// Equal inputs in the same role.
    pub duplicates: usize,
    /// Some of the leaks and duplicates, leaks first.
    pub duplicate_examples: Vec<Duplicate>,
    /// Samples that cannot be read, with the reason: how many, and some of them.
    pub unreadable: (usize, Vec<String>),
    /// What all this means, in sentences.
    pub findings: Vec<String>,
}

/// Reads every sample of `dataset` and reports what a person should know before training.
///
/// ```
/// use graticule_data::{health_check, open, OpenOptions};
/// let report = health_check(&open("digits", &OpenOptions::default())?);
/// assert_eq!(report.classes.len(), 10);
/// assert_eq!(report.unreadable.0, 0);
/// # Ok::<(), graticule_data::DataError>(())
/// ```
pub fn health_check(dataset: &Dataset) -> HealthReport {
    let roles = roles(dataset);
    let mut report = HealthReport {
        samples: dataset.len(),
        ..HealthReport::default()
    };
    if let InputLayout::Image {
        height,
        width,
        channels,
    } = dataset.layout()
    {
        report.image_size = Some((height, width, channels));
    }
    report.roles = Role::ALL
        .map(|role| (role.name().to_owned(), dataset.splits.of(role).len()))
        .to_vec();
    let without = roles.iter().filter(|r| r.is_none()).count();
    report.roles.push(("none".into(), without));
    let mut columns = Columns::of(dataset);
    let mut seen = HashMap::new();
    for index in 0..dataset.len() {
        match read(dataset, index) {
            Ok((hash, row, target)) => {
                columns.add(row, &target);
                find_duplicate(dataset, &roles, &mut seen, hash, index, &mut report);
            }
            Err(error) => {
                report.unreadable.0 += 1;
                if report.unreadable.1.len() < LISTED {
                    report.unreadable.1.push(error.to_string());
                }
                columns.add(None, &Target::Values(Vec::new()));
            }
        }
    }
    count_classes(dataset, &roles, &mut report);
    columns.report(dataset, &mut report);
    report.findings = findings(dataset, &report);
    report
}

fn roles(dataset: &Dataset) -> Vec<Option<Role>> {
    let mut roles = vec![None; dataset.len()];
    for role in Role::ALL {
        for &index in dataset.splits.of(role) {
            if let Some(slot) = roles.get_mut(index) {
                *slot = Some(role);
            }
        }
    }
    roles
}

type Sample = (u64, Option<Vec<Cell>>, Target);

/// Hash of the input, the cells of a row, the target.
fn read(dataset: &Dataset, index: usize) -> Result<Sample, DataError> {
    let target = dataset.source.target(index)?;
    let mut hasher = DefaultHasher::new();
    if matches!(dataset.layout(), InputLayout::Image { .. }) {
        dataset
            .source
            .with_pixels(index, &mut |pixels| pixels.hash(&mut hasher))?;
        return Ok((hasher.finish(), None, target));
    }
    let Raw::Row(cells) = dataset.source.raw(index)? else {
        return Ok((hasher.finish(), None, target));
    };
    for cell in &cells {
        match cell {
            Cell::Number(number) => number.to_bits().hash(&mut hasher),
            Cell::Text(text) => text.hash(&mut hasher),
            Cell::Missing => 0u8.hash(&mut hasher),
        }
    }
    Ok((hasher.finish(), Some(cells), target))
}

fn find_duplicate(
    dataset: &Dataset,
    roles: &[Option<Role>],
    seen: &mut HashMap<u64, usize>,
    hash: u64,
    index: usize,
    report: &mut HealthReport,
) {
    let Some(&first) = seen.get(&hash) else {
        seen.insert(hash, index);
        return;
    };
    // A hash of 64 bits may rarely collide, so the samples themselves are compared.
    let (Ok(a), Ok(b)) = (dataset.source.raw(first), dataset.source.raw(index)) else {
        return;
    };
    if a != b {
        return;
    }
    let leak = roles[first] != roles[index] && roles[first].is_some() && roles[index].is_some();
    *if leak {
        &mut report.leaks
    } else {
        &mut report.duplicates
    } += 1;
    let named = |i: usize| {
        (
            dataset.source.name_of(i),
            roles[i].map_or("none", Role::name).to_owned(),
        )
    };
    let same_target = dataset.source.target(first).ok() == dataset.source.target(index).ok();
    let example = Duplicate {
        first: named(first),
        second: named(index),
        same_target,
    };
    if leak {
        report.duplicate_examples.insert(0, example);
    } else {
        report.duplicate_examples.push(example);
    }
    report.duplicate_examples.truncate(LISTED);
}

fn count_classes(dataset: &Dataset, roles: &[Option<Role>], report: &mut HealthReport) {
    let Some(classes) = dataset.task.classes() else {
        return;
    };
    let empty = |class: &String| ClassCount {
        class: class.clone(),
        train: 0,
        validation: 0,
        test: 0,
    };
    report.classes = classes.iter().map(empty).collect();
    for (index, role) in roles.iter().enumerate() {
        let of_sample = match dataset.source.target(index) {
            Ok(Target::Class(class)) => vec![class],
            Ok(Target::Classes(classes)) => classes,
            _ => continue,
        };
        for class in of_sample {
            let (Some(count), Some(role)) = (report.classes.get_mut(class), role) else {
                continue;
            };
            match role {
                Role::Train => count.train += 1,
                Role::Validation => count.validation += 1,
                Role::Test => count.test += 1,
            }
        }
    }
}

/// The values of all columns: numbers (NaN where missing), or counts of texts.
struct Columns(Vec<(String, Vec<f64>, HashMap<String, usize>)>);

impl Columns {
    fn of(dataset: &Dataset) -> Self {
        let mut names = match dataset.layout() {
            InputLayout::Table { columns } => columns.into_iter().map(|c| c.name).collect(),
            InputLayout::Vector { names } => names,
            InputLayout::Image { .. } => Vec::new(),
        };
        if let Task::Regression { targets } = &dataset.task {
            names.extend_from_slice(targets);
        }
        Columns(
            names
                .into_iter()
                .map(|name| (name, Vec::new(), HashMap::new()))
                .collect(),
        )
    }

    /// Adds a sample; one that could not be read counts as missing.
    fn add(&mut self, row: Option<Vec<Cell>>, target: &Target) {
        let targets = if let Target::Values(values) = target {
            &values[..]
        } else {
            &[]
        };
        let targets = targets.iter().map(|&v| Cell::Number(v.into()));
        let mut cells = row.unwrap_or_default().into_iter().chain(targets);
        for (_, numbers, texts) in &mut self.0 {
            match cells.next().unwrap_or(Cell::Missing) {
                Cell::Number(number) => numbers.push(number),
                Cell::Missing => numbers.push(f64::NAN),
                Cell::Text(text) => {
                    numbers.push(f64::NAN);
                    *texts.entry(text).or_default() += 1;
                }
            }
        }
    }

    fn report(self, dataset: &Dataset, report: &mut HealthReport) {
        for (name, numbers, texts) in self.0 {
            let found = if texts.is_empty() {
                outliers_by_nature(&numbers, OUTLIER_SCORE)
            } else {
                Vec::new()
            };
            let of_texts: usize = texts.values().sum();
            let mut finite: Vec<f64> = numbers.iter().copied().filter(|n| !n.is_nan()).collect();
            let missing = numbers.len() - finite.len() - of_texts;
            finite.sort_by(f64::total_cmp);
            let (min, max) = (finite.first().copied(), finite.last().copied());
            finite.dedup();
            let distinct = finite.len() + texts.len();
            let entry = |o: &Outlier| {
                let sample = dataset.source.name_of(o.index);
                OutlierFound {
                    column: name.clone(),
                    sample,
                    value: o.value,
                    score: o.score,
                }
            };
            report.outliers.extend(found.iter().take(LISTED).map(entry));
            report.columns.push(ColumnHealth {
                name,
                missing,
                distinct,
                min,
                max,
                outliers: found.len(),
            });
        }
        report
            .outliers
            .sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()));
        report.outliers.truncate(LISTED);
    }
}

fn findings(dataset: &Dataset, report: &HealthReport) -> Vec<String> {
    let mut findings = dataset.notes.clone();
    if report.unreadable.0 > 0 {
        findings.push(format!("{} samples cannot be read.", report.unreadable.0));
    }
    if report.leaks > 0 {
        let n = report.leaks;
        findings.push(format!(
            "{n} samples stand in two roles under different names: scores are too good by them."
        ));
    }
    if report.duplicates > 0 {
        findings.push(format!(
            "{} samples repeat another one of their role.",
            report.duplicates
        ));
    }
    if report.duplicate_examples.iter().any(|d| !d.same_target) {
        findings.push(
            "Some equal inputs have different targets: one of the two is wrong, or inputs are missing."
                .into(),
        );
    }
    for column in &report.columns {
        if column.distinct <= 1 {
            findings.push(format!("Column `{}` is constant and tells nothing.", column.name));
        }
        if column.missing * 2 > report.samples {
            findings.push(format!(
                "Column `{}` is missing in more than half of the rows.",
                column.name
            ));
        }
    }
    findings.extend(class_findings(report));
    findings
}

fn class_findings(report: &HealthReport) -> Vec<String> {
    let mut findings = Vec::new();
    for class in report.classes.iter().filter(|c| c.train == 0) {
        findings.push(format!(
            "Class `{}` has no training sample and cannot be learnt.",
            class.class
        ));
    }
    let counts = || report.classes.iter().map(|c| c.train).filter(|&n| n > 0);
    if let (Some(least), Some(most)) = (counts().min(), counts().max())
        && most > 10 * least
    {
        findings.push(format!(
            "Classes are uneven: from {least} to {most} training samples. Look at recall per class, or weight them."
        ));
    }
    findings
}

#[cfg(test)]
mod tests;

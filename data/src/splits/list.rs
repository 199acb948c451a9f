//! Splits by a list file: a CSV with a column that names the sample and a column `split`.

use super::{Role, Splits};
use crate::{DataError, Dataset, ErrorKind, Source};
use std::collections::HashMap;
use std::path::Path;

/// Header names under which the sample is looked for.
const NAME_COLUMNS: [&str; 6] = ["file", "image", "filename", "path", "name", "row"];

/// What a list file says about a source.
#[derive(Debug)]
pub struct Listed {
    /// The roles.
    pub splits: Splits,
    /// Samples of the source that the list does not name; they have no role.
    pub unlisted: usize,
}

/// Reads the list `path` (columns `file` or `image` or `row`, and `split`) for `source`. A file may be named in
/// full as [`Source::name_of`] gives it, or by as many of its last path components as make it unique.
///
/// # Errors
/// When a column is missing, a role is unknown, or a name is not in the source.
pub fn read(path: &Path, source: &dyn Source) -> Result<Listed, DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|e| damaged(path, &e))?;
    let headers = reader.headers().map_err(|e| damaged(path, &e))?.clone();
    let column = |names: &[&str]| {
        headers
            .iter()
            .position(|h| names.contains(&h.to_ascii_lowercase().as_str()))
    };
    let (Some(name_column), Some(split_column)) = (column(&NAME_COLUMNS), column(&["split", "role", "set"]))
    else {
        return Err(DataError::new(ErrorKind::MissingColumn, path.display())
            .found(format!(
                "the columns {}",
                headers.iter().collect::<Vec<_>>().join(", ")
            ))
            .expected("a column `file` (or `image`, or `row` counted from 0) and a column `split`")
            .remedy("Rename the columns."));
    };
    let names = Names::of(source);
    let mut splits = Splits::default();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|e| damaged(path, &e))?;
        let place = || format!("{}, line {}", path.display(), number + 2);
        let name = record.get(name_column).unwrap_or_default();
        let Some(role) = role_of(record.get(split_column).unwrap_or_default(), place)? else {
            continue;
        };
        let index = names.find(name).ok_or_else(|| {
            DataError::new(ErrorKind::Split, place())
                .found(format!("the sample `{name}`"))
                .expected(format!(
                    "names as in this data set, such as `{}`",
                    source.name_of(0)
                ))
                .remedy(
                    "Check that the list belongs to this data set, or was made before files were removed.",
                )
        })?;
        match role {
            Role::Train => &mut splits.train,
            Role::Validation => &mut splits.validation,
            Role::Test => &mut splits.test,
        }
        .push(index);
    }
    splits.sort();
    splits.check(source.len())?;
    if splits.train.is_empty() {
        return Err(DataError::new(ErrorKind::Split, path.display())
            .found("no line with the split `train`")
            .expected("at least one training sample")
            .remedy("Write train, val or test in the column `split`."));
    }
    let listed = splits.train.len() + splits.validation.len() + splits.test.len();
    Ok(Listed {
        splits,
        unlisted: source.len() - listed,
    })
}

fn role_of(word: &str, place: impl Fn() -> String) -> Result<Option<Role>, DataError> {
    if word.is_empty() || word.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    Role::from_word(word).map(Some).ok_or_else(|| {
        DataError::new(ErrorKind::Split, place())
            .found(format!("the split `{word}`"))
            .expected("train, val or test")
            .remedy("Correct the word, or leave it empty to leave the sample out.")
    })
}

fn damaged(path: &Path, error: &csv::Error) -> DataError {
    DataError::new(ErrorKind::Unreadable, path.display())
        .found(format!("`{error}`"))
        .expected("a CSV list with the columns `file` and `split`")
        .remedy("Check the file.")
}

/// Sample names, and their endings as far as they are unique.
struct Names(HashMap<String, Option<usize>>);

impl Names {
    fn of(source: &dyn Source) -> Self {
        let mut names: HashMap<String, Option<usize>> = HashMap::new();
        for index in 0..source.len() {
            let name = source.name_of(index);
            for (start, _) in name.match_indices('/') {
                names
                    .entry(name[start + 1..].to_owned())
                    .and_modify(|n| *n = None)
                    .or_insert(Some(index));
            }
        }
        // Full names win over endings of others.
        for index in 0..source.len() {
            names.insert(source.name_of(index), Some(index));
        }
        Names(names)
    }

    fn find(&self, name: &str) -> Option<usize> {
        let name = name.replace('\\', "/");
        // A bare number is a row of a table.
        if let Some(&found) = self.0.get(&format!("row {name}")) {
            return found;
        }
        let mut rest = name.trim_start_matches("./");
        loop {
            if let Some(&found) = self.0.get(rest) {
                return found;
            }
            rest = rest.split_once('/')?.1;
        }
    }
}

/// Writes the roles of `dataset` as a list that [`read`] takes: columns `file,class,split` (or `row,split` for
/// data without classes). Samples without a role are written with an empty split.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, dataset: &Dataset) -> Result<(), DataError> {
    let failed = |e: csv::Error| DataError::io(path, &e.into());
    let labels = dataset.labels()?;
    let classes = dataset.task.classes().unwrap_or_default();
    let mut roles = vec![""; dataset.len()];
    for role in Role::ALL {
        for &index in dataset.splits.of(role) {
            roles[index] = role.name();
        }
    }
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    writer.write_record(["file", "class", "split"]).map_err(failed)?;
    for (index, role) in roles.iter().enumerate() {
        let class = labels
            .as_ref()
            .and_then(|l| classes.get(l[index]))
            .map_or("", String::as_str);
        writer
            .write_record([&dataset.source.name_of(index), class, role])
            .map_err(failed)?;
    }
    writer.flush().map_err(|e| DataError::io(path, &e))
}

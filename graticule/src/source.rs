//! The flags that say how a source of data is read; the same for every verb that reads one, and in `run.toml`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use data::{Dataset, Fractions, OpenOptions, TaskKind, open};
use serde::{Deserialize, Serialize};

use crate::error::{Failure, Outcome};

/// How a source is read. Given on the command line, kept in `run.toml`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceArgs {
    /// The column of a table that is to be predicted
    #[arg(long, value_name = "COLUMN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What is to be learnt, where the target leaves it open
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
    /// Roles by list: a CSV with the columns `file` and `split`
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splits: Option<PathBuf>,
    /// Share of the samples for validation, where the source does not say [default: 0.15]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val: Option<f64>,
    /// Share of the samples for the test, where the source does not say [default: 0.15]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<f64>,
    /// Train on at most so many samples of each class; validation and test stay whole
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_class: Option<usize>,
    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Noise of a synthetic set, from 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// Samples of a synthetic set [default: 500]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// Leave out images that cannot be read and rows without a target, and say so
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_bad: bool,
    /// Bring every image to this size: one number, or HEIGHTxWIDTH
    #[arg(long, value_name = "SIZE", value_parser = image_size)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<ImageSize>,
    /// Bands of every image, where a pretrained network wants others than the files have.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Columns of a table to leave out
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Columns whose numbers are names of categories
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categorical: Vec<String>,
    /// Words for missing cells, besides the usual ones
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What divides the cells of a table [default: found from its first line]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
}

/// What is to be learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskName {
    /// One class for each sample
    Classification,
    /// A number for each sample
    Regression,
}

/// Height and width in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSize(pub usize, pub usize);

/// The seed of a run that was given none.
const SEED: u64 = 1;
/// Longest side that images may be brought to.
const LARGEST_SIDE: usize = 8192;

impl SourceArgs {
    /// The seed, given or not.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(SEED)
    }

    /// Opens `source` as these flags say.
    pub fn open(&self, source: &str) -> Outcome<Dataset> {
        Ok(open(source, &self.options()?)?)
    }

    /// These flags, and those of an earlier run where nothing is said here. The run's split belongs to its own
    /// samples and is not taken over.
    pub fn over(&self, run: &SourceArgs) -> Self {
        let list = |own: &Vec<String>, of_run: &Vec<String>| {
            if own.is_empty() {
                of_run.clone()
            } else {
                own.clone()
            }
        };
        Self {
            target: self.target.clone().or(run.target.clone()),
            task: self.task.or(run.task),
            splits: self.splits.clone(),
            val: self.val,
            test: self.test,
            per_class: self.per_class,
            seed: self.seed.or(run.seed),
            noise: self.noise.or(run.noise),
            samples: self.samples.or(run.samples),
            skip_bad: self.skip_bad,
            image_size: self.image_size.or(run.image_size),
            channels: self.channels.or(run.channels),
            exclude: list(&self.exclude, &run.exclude),
            categorical: list(&self.categorical, &run.categorical),
            missing: list(&self.missing, &run.missing),
            delimiter: self.delimiter.or(run.delimiter),
        }
    }

    fn options(&self) -> Outcome<OpenOptions> {
        let default = OpenOptions::default();
        Ok(OpenOptions {
            target: self.target.clone(),
            task: self.task.map(|task| match task {
                TaskName::Classification => TaskKind::Classification,
                TaskName::Regression => TaskKind::Regression,
            }),
            splits: self.splits.clone(),
            fractions: self.fractions()?,
            per_class: self.per_class,
            seed: self.seed(),
            noise: self.noise.unwrap_or(default.noise),
            samples: self.samples,
            skip_bad: self.skip_bad,
            image_size: self.image_size.map(|ImageSize(height, width)| (height, width)),
            channels: self.channels,
            exclude: self.exclude.clone(),
            categorical: self.categorical.clone(),
            missing: self.missing.clone(),
            delimiter: self.delimiter.and_then(|c| u8::try_from(c).ok()),
            cache_bytes: default.cache_bytes,
        })
    }

    fn fractions(&self) -> Outcome<Fractions> {
        let default = Fractions::default();
        let validation = self.val.unwrap_or(default.validation);
        let test = self.test.unwrap_or(default.test);
        let train = 1.0 - validation - test;
        if train <= 1e-9 {
            let cause = format!("--val {validation} and --test {test} leave nothing to train on");
            return Err(Failure::usage(cause).help("for example --val 0.15 --test 0.15"));
        }
        Ok(Fractions {
            train,
            validation,
            test,
        })
    }

    /// The same flags with paths that stay right in another folder.
    pub fn absolute(mut self) -> Self {
        self.splits = self.splits.map(|path| absolute(&path));
        self
    }
}

/// The absolute form of a path, or the path itself where the system knows none.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// A source as it is kept in `run.toml`: a name stays a name, a path becomes absolute.
pub fn lasting_name(source: &str) -> String {
    if Path::new(source).exists() {
        absolute(Path::new(source)).display().to_string()
    } else {
        source.to_string()
    }
}

fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text
        .parse()
        .map_err(|_| "expected a number from 0 to 1".to_string())?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{value} is not from 0 to 1"))
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(value) if value >= 1 => Ok(value),
        _ => Err("expected a whole number from 1 on".into()),
    }
}

fn image_size(text: &str) -> Result<ImageSize, String> {
    let sides: Option<Vec<usize>> = text
        .split(['x', '×'])
        .map(|side| side.trim().parse().ok())
        .collect();
    let fits = |side: usize| (1..=LARGEST_SIDE).contains(&side);
    match sides.as_deref() {
        Some(&[side]) if fits(side) => Ok(ImageSize(side, side)),
        Some(&[height, width]) if fits(height) && fits(width) => Ok(ImageSize(height, width)),
        _ => Err(format!(
            "expected one number or HEIGHTxWIDTH in pixels, each from 1 to {LARGEST_SIDE}"
        )),
    }
}

fn delimiter(text: &str) -> Result<char, String> {
    match text {
        "tab" | "\\t" => Ok('\t'),
        _ => {
            let mut characters = text.chars();
            match (characters.next(), characters.next()) {
                (Some(c), None) if c.is_ascii() => Ok(c),
                _ => Err("expected one plain character, such as ; or tab".into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_shares_and_delimiters_are_read() {
        assert_eq!(image_size("64"), Ok(ImageSize(64, 64)));
        assert_eq!(image_size("32x48"), Ok(ImageSize(32, 48)));
        assert!(image_size("0").is_err() && image_size("1x2x3").is_err() && image_size("big").is_err());
        assert_eq!(share("0.25"), Ok(0.25));
        assert!(share("1.5").is_err() && share("NaN").is_err());
        assert_eq!(delimiter("tab"), Ok('\t'));
        assert!(delimiter("").is_err() && delimiter(";;").is_err());
    }

    #[test]
    fn flags_survive_the_settings_file() {
        let args = SourceArgs {
            target: Some("price".into()),
            task: Some(TaskName::Regression),
            val: Some(0.2),
            image_size: Some(ImageSize(3, 4)),
            exclude: vec!["id".into()],
            delimiter: Some(';'),
            ..SourceArgs::default()
        };
        let text = toml::to_string(&args).unwrap();
        assert_eq!(toml::from_str::<SourceArgs>(&text).unwrap(), args, "{text}");
    }

    #[test]
    fn shares_that_leave_nothing_to_train_on_are_refused() {
        let args = SourceArgs {
            val: Some(0.5),
            test: Some(0.5),
            ..SourceArgs::default()
        };
        assert!(args.fractions().is_err());
    }
}

//! `run.toml`: every setting of a run, resolved; and how a run or a model file is found again.

use std::path::{Path, PathBuf};

use data::{Augment, Dataset, Role};
use serde::{Deserialize, Serialize};
use train::Settings;
use train::run_folder::RunFolder;

use crate::error::{Context, Failure, Outcome};
use crate::source::SourceArgs;
use crate::verbs::train::transfer::Origin;

/// All that decides a run: what stands in `run.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// The program that wrote it.
    pub graticule: String,
    /// Name or absolute path of the data.
    pub source: String,
    /// The network: a name, a TOML file or a line of layers.
    pub model: String,
    /// Share of the training samples whose labels were made wrong on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poison: Option<f64>,
    /// The pretrained network that it began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Origin>,
    /// How the source is read.
    #[serde(default)]
    pub reading: SourceArgs,
    /// How many samples play which role, as found.
    pub samples: Samples,
    /// The optimisation.
    pub settings: Settings,
    /// Random changes of the training samples.
    #[serde(default)]
    pub augment: Augment,
    /// How it was computed; the bits do not depend on the threads.
    pub engine: EngineChoice,
}

/// Samples of each role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// Training samples.
    pub train: usize,
    /// Validation samples.
    pub validation: usize,
    /// Test samples.
    pub test: usize,
}

impl Samples {
    /// Those of a data set.
    pub fn of(dataset: &Dataset) -> Self {
        let count = |role| dataset.splits.of(role).len();
        Self {
            train: count(Role::Train),
            validation: count(Role::Validation),
            test: count(Role::Test),
        }
    }
}

/// Threads, instruction set and precision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineChoice {
    /// Worker threads.
    pub threads: usize,
    /// Instruction set of the kernels.
    pub isa: String,
    /// Precision of matrix products that was asked for, and the one that was used.
    #[serde(default = "highest")]
    pub precision: String,
    #[serde(default = "highest")]
    pub precision_used: String,
}

/// What runs were computed in before they said so.
fn highest() -> String {
    engine::Precision::Highest.to_string()
}

impl RunFile {
    /// Reads the settings of a run folder.
    pub fn read(folder: &RunFolder) -> Outcome<Self> {
        let path = folder.settings_path();
        let text = std::fs::read_to_string(&path).at(path.display())?;
        toml::from_str(&text)
            .at(path.display())
            .help("the run was made by another version, or the file was changed")
    }

    /// The text of `run.toml`.
    pub fn to_text(&self) -> Outcome<String> {
        Ok(toml::to_string(self)?)
    }
}

/// The RUN of a command line: a run folder, or one model file alone.
#[derive(Debug)]
pub struct Found {
    /// The model file.
    pub model: PathBuf,
    /// The run folder around it, where there is one.
    pub folder: Option<RunFolder>,
}

impl Found {
    /// Finds the model file that `run` means: the best one of a folder, or the file itself.
    pub fn at(run: &Path) -> Outcome<Self> {
        if run.is_file() {
            let folder = run.parent().and_then(|folder| RunFolder::open(folder).ok());
            return Ok(Self {
                model: run.to_path_buf(),
                folder,
            });
        }
        let folder =
            RunFolder::open(run).help("give a run folder, such as runs/digits-1, or a .safetensors file")?;
        let model = [folder.best_path(), folder.last_path()]
            .into_iter()
            .find(|path| path.is_file());
        let model = model.ok_or_else(|| {
            Failure::new("the run has no model file yet")
                .at(run.display())
                .help(format!(
                    "go on with it: graticule train --resume {}",
                    run.display()
                ))
        })?;
        Ok(Self {
            model,
            folder: Some(folder),
        })
    }

    /// The file of weights that `given` means: the model file of a run, or the file itself.
    pub fn at_weights(given: &Path) -> Outcome<PathBuf> {
        match given.is_dir() {
            true => Ok(Self::at(given).at("--weights")?.model),
            false if given.is_file() => Ok(given.to_path_buf()),
            false => Err(Failure::new("found no such file")
                .at(given.display())
                .at("--weights")
                .help("give a run folder, a .safetensors or a .pth file")),
        }
    }

    /// The settings of the run, where there is a run.
    pub fn settings(&self) -> Outcome<Option<RunFile>> {
        self.folder.as_ref().map(RunFile::read).transpose()
    }
}

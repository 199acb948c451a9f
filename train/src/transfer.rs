//! Transfer learning (curriculum rows O18, O19, O20): which blocks of a pretrained network train, at which share of
//! the learning rate, and from which epoch on.

mod features;

use std::collections::HashMap;
use std::str::FromStr;

use graph::Symbol;
use nn::Model;
use nn::model::{Block, blocks};
use serde::{Deserialize, Serialize};

use crate::TrainError;

pub use features::Features;

/// How a pretrained network learns something else.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// What is done with the trunk: all blocks but the head.
    pub mode: TransferMode,
    /// The trunk's share of the learning rate (row O20: "use a smaller learning rate when fine tuning").
    pub trunk_rate: f64,
    /// Where the part that may train begins; all before it stays as it is.
    pub start: Start,
}

/// What is done with a pretrained trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferMode {
    /// It runs once over every sample; the head alone learns from what it gave (row O18).
    Features,
    /// It trains with the head from the beginning (row O19).
    Finetune,
    /// Its blocks begin to train one after the other, from the head down, during the first half of the epochs.
    Gradual,
}

/// The block at which training starts, by the depth that it has among the trunk's blocks (row O20).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At the first block: nothing stays frozen.
    #[default]
    Shallow,
    /// Behind the first third of the trunk's blocks.
    Middle,
    /// Behind the second third.
    Deep,
    /// At the head: the whole trunk stays frozen.
    Head,
}

impl Start {
    /// All, from the one that trains most to the one that trains least.
    pub const ALL: [Start; 4] = [Start::Shallow, Start::Middle, Start::Deep, Start::Head];

    /// Its name, as it is read.
    pub fn name(self) -> &'static str {
        match self {
            Start::Shallow => "shallow",
            Start::Middle => "middle",
            Start::Deep => "deep",
            Start::Head => "head",
        }
    }

    /// How many of the trunk's blocks lie before it.
    fn frozen(self, trunk: usize) -> usize {
        match self {
            Start::Shallow => 0,
            Start::Middle => trunk.div_ceil(3),
            Start::Deep => (2 * trunk).div_ceil(3),
            Start::Head => trunk,
        }
    }
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|start| start.name() == text);
        found.ok_or_else(|| format!("`{text}` is no start; expected shallow, middle, deep or head"))
    }
}

/// One block's part in a run.
#[derive(Debug, Clone)]
pub struct Part {
    /// The block.
    pub block: Block,
    /// Its share of the learning rate.
    pub rate: f64,
    /// The epoch, counted from 0, in which it begins to train; `None` if it stays frozen.
    pub from: Option<usize>,
}

/// Every block's part in a run, from the input to the head. The blocks that train are always the last ones, so that
/// neither gradients nor batch statistics are needed before the first of them.
#[derive(Debug, Clone)]
pub struct Plan {
    parts: Vec<Part>,
    block_of: HashMap<String, usize>,
    mode: TransferMode,
}

impl Plan {
    /// What `transfer` means for `model` and a run of so many epochs.
    ///
    /// # Errors
    /// [`TrainError::Setting`] when the network has no block before its head, or the settings contradict each other.
    pub fn new(model: &Model, transfer: Transfer, epochs: usize) -> Result<Self, TrainError> {
        let blocks = blocks(model);
        let Transfer {
            mode,
            trunk_rate,
            start,
        } = transfer;
        check(model, blocks.len(), transfer, epochs)?;
        let trunk = blocks.len() - 1;
        let frozen = match mode {
            TransferMode::Features => trunk,
            _ => start.frozen(trunk),
        };
        let from = |k: usize| match mode {
            _ if k < frozen => None,
            // The block below the head first, the lowest one in the middle of the run.
            TransferMode::Gradual if k < trunk => Some(
                ((trunk - k) * epochs.div_ceil(2))
                    .div_ceil(trunk - frozen)
                    .min(epochs - 1),
            ),
            _ => Some(0),
        };
        let block_of = blocks.iter().enumerate().flat_map(|(k, block)| {
            let names = block.parameters.iter().map(|p| p.name.clone());
            names.map(move |name| (name, k))
        });
        Ok(Self {
            block_of: block_of.collect(),
            mode,
            parts: blocks
                .into_iter()
                .enumerate()
                .map(|(k, block)| Part {
                    block,
                    rate: if k < trunk { trunk_rate } else { 1.0 },
                    from: from(k),
                })
                .collect(),
        })
    }

    /// The blocks' parts, from the input to the head.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The last block.
    pub fn head(&self) -> &Part {
        &self.parts[self.parts.len() - 1]
    }

    /// Which of the parts trains first in `epoch`, counted from 0; all behind it train too.
    pub fn first(&self, epoch: usize) -> usize {
        let trains = |part: &Part| part.from.is_some_and(|from| from <= epoch);
        self.parts.iter().position(trains).unwrap_or(self.parts.len() - 1)
    }

    /// The part of the parameter of this name.
    pub fn part_of(&self, parameter: &str) -> Option<(usize, &Part)> {
        let &k = self.block_of.get(parameter)?;
        Some((k, &self.parts[k]))
    }

    /// What the head reads, where the head alone learns from kept features.
    pub fn features(&self) -> Option<&Symbol> {
        (self.mode == TransferMode::Features).then(|| &self.head().block.input)
    }
}

fn check(model: &Model, blocks: usize, transfer: Transfer, epochs: usize) -> Result<(), TrainError> {
    let refuse = |message: String| Err(TrainError::Setting(message));
    let rate = transfer.trunk_rate;
    if blocks < 2 {
        return refuse(format!(
            "`{}` is one block from its input to its outputs; transfer learning needs a trunk before the head",
            model.name()
        ));
    }
    if !(rate > 0.0 && rate.is_finite()) {
        return refuse(format!(
            "the trunk's share of the learning rate is {rate}; expected a number above 0"
        ));
    }
    if transfer.mode == TransferMode::Gradual && (epochs < 2 || transfer.start == Start::Head) {
        return refuse(format!(
            "blocks cannot begin to train one after the other in {epochs} epochs from the start `{}`; expected at least \
             2 epochs and a start before the head",
            transfer.start.name()
        ));
    }
    Ok(())
}

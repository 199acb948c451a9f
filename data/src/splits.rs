//! Which sample plays which role: train, validation, test (S6, S7).

use crate::random::{Purpose, rng, shuffle};
use crate::{DataError, ErrorKind};
use serde::{Deserialize, Serialize};

pub mod list;

/// The role of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Weights are fitted on these.
    Train,
    /// Settings are chosen on these.
    Validation,
    /// The final figure comes from these, looked at once.
    Test,
}

impl Role {
    /// All roles in order.
    pub const ALL: [Role; 3] = [Role::Train, Role::Validation, Role::Test];

    /// `train`, `validation` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Train => "train",
            Role::Validation => "validation",
            Role::Test => "test",
        }
    }

    /// Reads the usual words for a role, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        match word.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Role::Train),
            "val" | "valid" | "validation" | "dev" => Some(Role::Validation),
            "test" | "testing" => Some(Role::Test),
            _ => None,
        }
    }
}

/// Shares of train, validation and test, each from 0 to 1 with a sum of at most 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fractions {
    /// Share of the training samples.
    pub train: f64,
    /// Share of the validation samples.
    pub validation: f64,
    /// Share of the test samples.
    pub test: f64,
}

impl Default for Fractions {
    fn default() -> Self {
        Self {
            train: 0.7,
            validation: 0.15,
            test: 0.15,
        }
    }
}

impl Fractions {
    fn check(&self) -> Result<(), DataError> {
        let parts = [self.train, self.validation, self.test];
        let valid = parts.iter().all(|p| (0.0..=1.0).contains(p)) && self.train > 0.0;
        if valid && parts.iter().sum::<f64>() <= 1.0 + 1e-9 {
            return Ok(());
        }
        Err(DataError::new(ErrorKind::Split, "split fractions")
            .found(format!(
                "train {}, validation {}, test {}",
                self.train, self.validation, self.test
            ))
            .expected("three shares from 0 to 1 that add up to at most 1, train above 0")
            .remedy("For example 0.7, 0.15, 0.15."))
    }
}

/// Sample indices by role. A sample may have no role, but never two.
///
/// ```
/// use graticule_data::{Fractions, Splits};
/// let classes = [0, 0, 0, 0, 1, 1, 1, 1];
/// let halves = Fractions { train: 0.5, validation: 0.25, test: 0.25 };
/// let splits = Splits::by_fraction(8, Some(&classes), halves, 1)?;
/// // Stratified: each class is halved.
/// assert_eq!(splits.train.iter().filter(|&&i| classes[i] == 0).count(), 2);
/// # Ok::<(), graticule_data::DataError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splits {
    /// Indices of the training samples, ascending.
    pub train: Vec<usize>,
    /// Indices of the validation samples, ascending.
    pub validation: Vec<usize>,
    /// Indices of the test samples, ascending.
    pub test: Vec<usize>,
}

impl Splits {
    /// The indices of one role.
    pub fn of(&self, role: Role) -> &[usize] {
        match role {
            Role::Train => &self.train,
            Role::Validation => &self.validation,
            Role::Test => &self.test,
        }
    }

    /// Splits `count` samples at random by `fractions`; with `classes` (the class of each sample) every
    /// class is split by the same shares. The same seed gives the same split.
    ///
    /// # Errors
    /// When the fractions are not shares, or leave no training sample.
    pub fn by_fraction(
        count: usize,
        classes: Option<&[usize]>,
        fractions: Fractions,
        seed: u64,
    ) -> Result<Self, DataError> {
        let all: Vec<usize> = (0..count).collect();
        Self::of_indices(&all, classes, fractions, seed)
    }

    /// As [`Splits::by_fraction`], for some of the samples only. `classes` still has one class for every
    /// sample of the source.
    ///
    /// # Errors
    /// As [`Splits::by_fraction`].
    pub fn of_indices(
        indices: &[usize],
        classes: Option<&[usize]>,
        fractions: Fractions,
        seed: u64,
    ) -> Result<Self, DataError> {
        fractions.check()?;
        let class_of = |index: usize| classes.and_then(|c| c.get(index).copied()).unwrap_or(0);
        let groups = indices.iter().map(|&i| class_of(i) + 1).max().unwrap_or(0);
        let mut strata = vec![Vec::new(); groups];
        for &index in indices {
            strata[class_of(index)].push(index);
        }
        let mut splits = Splits::default();
        // Rounding errors are carried from class to class so that the totals come out right too.
        let mut carry = [0.0; 2];
        for (class, mut stratum) in strata.into_iter().enumerate() {
            shuffle(&mut stratum, &mut rng(seed, 0, class as u64, Purpose::Split));
            splits.deal(&stratum, fractions, &mut carry);
        }
        splits.sort();
        if splits.train.is_empty() {
            return Err(DataError::new(ErrorKind::Split, "split")
                .found(format!("no training sample among {}", indices.len()))
                .expected("at least one")
                .remedy("Give more samples or a larger share for train."));
        }
        Ok(splits)
    }

    fn deal(&mut self, stratum: &[usize], fractions: Fractions, carry: &mut [f64; 2]) {
        let count = stratum.len() as f64;
        let mut rest = stratum;
        for (role, share) in [fractions.test, fractions.validation].into_iter().enumerate() {
            let wanted = share * count + carry[role];
            // A class keeps one training sample as long as it has one.
            let taken = (wanted.round().max(0.0) as usize).min(rest.len().saturating_sub(1));
            carry[role] = (wanted - taken as f64).clamp(-1.0, 1.0);
            let (head, tail) = rest.split_at(taken);
            if role == 0 {
                &mut self.test
            } else {
                &mut self.validation
            }
            .extend_from_slice(head);
            rest = tail;
        }
        let left_out = 1.0 - (fractions.train + fractions.validation + fractions.test);
        let dropped = if left_out > 1e-6 {
            (left_out * count).round() as usize
        } else {
            0
        };
        let kept = rest.len().saturating_sub(dropped).max(1).min(rest.len());
        self.train.extend_from_slice(&rest[..kept]);
    }

    fn sort(&mut self) {
        self.train.sort_unstable();
        self.validation.sort_unstable();
        self.test.sort_unstable();
    }

    /// Moves a stratified share of the training samples to validation and, where `test` is above 0, to test.
    ///
    /// # Errors
    /// As [`Splits::by_fraction`].
    pub fn carve(
        mut self,
        classes: Option<&[usize]>,
        validation: f64,
        test: f64,
        seed: u64,
    ) -> Result<Self, DataError> {
        let fractions = Fractions {
            train: 1.0 - validation - test,
            validation,
            test,
        };
        let carved = Self::of_indices(&self.train, classes, fractions, seed)?;
        self.train = carved.train;
        self.validation.extend(carved.validation);
        self.test.extend(carved.test);
        self.sort();
        Ok(self)
    }

    /// Leaves at most `count` training samples of each class, drawn at random; validation and test stay whole. The
    /// same seed gives the same samples, and more samples contain the fewer.
    pub fn few_per_class(mut self, classes: &[usize], count: usize, seed: u64) -> Self {
        let mut order = std::mem::take(&mut self.train);
        shuffle(&mut order, &mut rng(seed, 1, 0, Purpose::Split));
        let mut kept = vec![0; classes.iter().max().map_or(0, |most| most + 1)];
        let few = order.into_iter().filter(|&index| {
            let Some(kept) = classes.get(index).map(|&class| &mut kept[class]) else {
                return false;
            };
            *kept += 1;
            *kept <= count
        });
        self.train = few.collect();
        self.sort();
        self
    }

    /// Checks that every index is below `count` and none has two roles or stands twice.
    ///
    /// # Errors
    /// With the first offending sample and its roles.
    pub fn check(&self, count: usize) -> Result<(), DataError> {
        let mut role_of = vec![None; count];
        for role in Role::ALL {
            for &index in self.of(role) {
                let error = DataError::new(ErrorKind::Split, format!("sample {index}"));
                let Some(slot) = role_of.get_mut(index) else {
                    return Err(error
                        .found(format!("the role {} for it", role.name()))
                        .expected(format!("indices below {count}"))
                        .remedy("Make the split again for this data set."));
                };
                if let Some(other) = slot.replace(role) {
                    return Err(error
                        .found(format!("it in {} and in {}", other.name(), role.name()))
                        .expected("one role for each sample, or test scores mean nothing")
                        .remedy("Remove it from one of the two."));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

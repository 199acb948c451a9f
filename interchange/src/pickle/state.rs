//! Finding the named tensors in what a file holds: alone, or beside epochs and optimizers.

use std::collections::{HashMap, HashSet};

use super::Fault;
use super::machine::Pickle;
use super::value::{Id, Tensor, Value};
use crate::foreign::numbers::Numbers;

/// What people call the entry with the weights, best first.
const PREFERRED: [&str; 9] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "network",
    "net",
    "weights",
    "params",
    "state_dict_ema",
];
/// The longest name of a tensor.
const MAX_NAME: usize = 1024;
/// How deep containers are searched.
const MAX_DEPTH: usize = 8;

/// Each storage of the pickle, its numbers and how many there are.
pub(super) fn storages(pickle: &Pickle) -> HashMap<&str, (Numbers, u64)> {
    let mut storages = HashMap::new();
    for value in &pickle.values {
        if let Value::Storage(storage) = value {
            storages.insert(storage.key.as_str(), (storage.numbers, storage.count));
        }
    }
    storages
}

/// The tensors of the dictionary that looks most like a network's, by name.
pub(super) fn named_tensors(pickle: &Pickle) -> Result<Vec<(String, &Tensor)>, Fault> {
    let mut search = Search {
        pickle,
        seen: HashSet::new(),
        found: Vec::new(),
    };
    search.visit(pickle.root, PREFERRED.len(), 0);
    // The first of equals, from outside in.
    let best = search
        .found
        .iter()
        .rev()
        .max_by_key(|(rank, count, _)| (PREFERRED.len() + 1 - rank, *count));
    let Some(&(_, _, id)) = best else {
        return Err(Fault::broken(
            0,
            "it has no dictionary of named tensors; save a model's state_dict()".into(),
        ));
    };
    let named = |(name, tensor): (&str, _)| match name.len() {
        0..=MAX_NAME => Ok((name.to_string(), tensor)),
        long => Err(Fault::broken(
            0,
            format!("a tensor's name has {long} bytes, at most {MAX_NAME} are read"),
        )),
    };
    tensors_of(pickle, id).map(named).collect()
}

struct Search<'a> {
    pickle: &'a Pickle,
    seen: HashSet<Id>,
    /// Rank of the name, number of tensors, place.
    found: Vec<(usize, usize, Id)>,
}

impl Search<'_> {
    fn visit(&mut self, id: Id, rank: usize, depth: usize) {
        if depth > MAX_DEPTH || !self.seen.insert(id) {
            return;
        }
        match &self.pickle.values[id] {
            Value::Dict(items) => {
                let count = tensors_of(self.pickle, id).count();
                if count > 0 {
                    self.found.push((rank, count, id));
                }
                for &(key, value) in items {
                    let name = match &self.pickle.values[key] {
                        Value::Text(name) => name.as_str(),
                        _ => "",
                    };
                    let own = PREFERRED
                        .iter()
                        .position(|p| *p == name)
                        .unwrap_or(PREFERRED.len());
                    self.visit(value, own, depth + 1);
                }
            }
            Value::List(items) | Value::Tuple(items) => {
                for &item in items {
                    self.visit(item, PREFERRED.len(), depth + 1);
                }
            }
            _ => {}
        }
    }
}

fn tensors_of(pickle: &Pickle, id: Id) -> impl Iterator<Item = (&str, &Tensor)> {
    let items = match &pickle.values[id] {
        Value::Dict(items) => &items[..],
        _ => &[],
    };
    items.iter().filter_map(
        |&(key, value)| match (&pickle.values[key], &pickle.values[value]) {
            (Value::Text(name), Value::Tensor(tensor)) => Some((name.as_str(), tensor)),
            _ => None,
        },
    )
}

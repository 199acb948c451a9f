//! The numbers of a network: all parameters in one aligned run of memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use graph::{Shape, Symbol};

use crate::{Buffer, EngineError};

/// One parameter's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name in files and messages.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// First element in the store (a multiple of 16).
    pub offset: usize,
    /// Whether gradients reach it.
    pub trainable: bool,
}

impl Entry {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.elements()
    }
}

/// Which parameter lies where: trainable ones first, each on its own cache line, so that an
/// optimizer is one pass over `..trainable`.
#[derive(Debug)]
pub struct Layout {
    entries: Vec<Entry>,
    by_symbol: HashMap<u64, usize>,
    trainable: usize,
    length: usize,
}

impl Layout {
    /// Lays out these named parameter symbols.
    pub fn new(parameters: &[(String, Symbol)]) -> Arc<Self> {
        let is_trainable = |s: &Symbol| s.as_parameter().is_some_and(|p| p.trainable);
        let mut layout = Self {
            entries: vec![],
            by_symbol: HashMap::new(),
            trainable: 0,
            length: 0,
        };
        for trainable in [true, false] {
            for (name, symbol) in parameters.iter().filter(|(_, s)| is_trainable(s) == trainable) {
                layout.by_symbol.insert(symbol.id(), layout.entries.len());
                let shape = symbol.shape().clone();
                let elements = shape.elements();
                layout.entries.push(Entry {
                    name: name.clone(),
                    shape,
                    offset: layout.length,
                    trainable,
                });
                layout.length += elements.next_multiple_of(16);
            }
            if trainable {
                layout.trainable = layout.length;
            }
        }
        Arc::new(layout)
    }

    /// The parameters in storage order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a symbol.
    pub fn entry(&self, symbol: &Symbol) -> Option<&Entry> {
        self.by_symbol.get(&symbol.id()).map(|&i| &self.entries[i])
    }

    /// Elements that an optimizer passes over, padding included.
    pub fn trainable_length(&self) -> usize {
        self.trainable
    }

    /// Elements of the whole store, padding included.
    pub fn length(&self) -> usize {
        self.length
    }
}

/// A network's parameters and state.
///
/// ```
/// use graph::Symbol;
/// use graticule_engine::Parameters;
/// let w = Symbol::parameter("weight", [2, 3], Default::default());
/// let mut parameters = Parameters::new(&[("dense.weight".into(), w)]);
/// parameters.set("dense.weight", &[1.0; 6])?;
/// assert_eq!(parameters.get("dense.weight")?, [1.0; 6]);
/// # Ok::<(), graticule_engine::EngineError>(())
/// ```
#[derive(Clone)]
pub struct Parameters {
    layout: Arc<Layout>,
    values: Buffer,
    /// Another number after each change; 0 where it has none yet.
    version: u64,
}

/// Numbers that have not been given yet.
static VERSIONS: AtomicU64 = AtomicU64::new(1);

fn new_version() -> u64 {
    VERSIONS.fetch_add(1, Ordering::Relaxed)
}

impl Parameters {
    /// A store of zeros for these named parameter symbols.
    pub fn new(parameters: &[(String, Symbol)]) -> Self {
        let layout = Layout::new(parameters);
        let values = Buffer::new(layout.length());
        Self {
            layout,
            values,
            version: 0,
        }
    }

    /// A number that no other content of any store has: equal numbers mean equal content.
    pub(crate) fn version(&mut self) -> u64 {
        if self.version == 0 {
            self.version = new_version();
        }
        self.version
    }

    /// All numbers, for a program that knows whether it changes them.
    pub(crate) fn values_unchanged(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Which parameter lies where.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// All numbers, padding included.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All numbers, padding included.
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.version = 0;
        &mut self.values
    }

    /// One parameter, row-major.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] with the names there are.
    pub fn get(&self, name: &str) -> Result<&[f32], EngineError> {
        let entry = self.find(name)?;
        Ok(&self.values[entry.offset..entry.offset + entry.elements()])
    }

    /// Replaces one parameter.
    ///
    /// # Errors
    /// [`EngineError::Unknown`]; [`EngineError::Parameters`] when the number of elements differs.
    pub fn set(&mut self, name: &str, values: &[f32]) -> Result<(), EngineError> {
        let entry = self.find(name)?.clone();
        if values.len() != entry.elements() {
            let message = format!(
                "`{name}` has shape {}, found {} numbers",
                entry.shape,
                values.len()
            );
            return Err(EngineError::Parameters(message));
        }
        self.values_mut()[entry.offset..entry.offset + values.len()].copy_from_slice(values);
        Ok(())
    }

    fn find(&self, name: &str) -> Result<&Entry, EngineError> {
        self.layout
            .entries
            .iter()
            .find(|e| e.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = self.layout.entries.iter().map(|e| e.name.as_str()).collect();
                EngineError::Unknown {
                    what: "parameter",
                    name: name.into(),
                    known: known.join(", "),
                }
            })
    }
}

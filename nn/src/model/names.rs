//! Names of layers: what a scope is called within its parent, and its path.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use graph::{GraphError, Scope, Symbol};

/// The scopes of a graph in the order in which they first appear, and their paths.
#[derive(Debug, Clone, Default)]
pub(crate) struct LayerNames {
    scopes: Vec<Arc<Scope>>,
    paths: HashMap<u64, String>,
}

impl LayerNames {
    /// Names every scope of `nodes`, which are in topological order.
    ///
    /// # Errors
    /// [`GraphError::Name`] when two scopes of one parent were given the same name.
    pub(crate) fn of(nodes: &[Symbol]) -> Result<Self, GraphError> {
        let scopes = scopes_of(nodes);
        let mut taken: HashSet<(Option<u64>, String)> = HashSet::new();
        for scope in &scopes {
            let Some(name) = &scope.name else { continue };
            if !taken.insert((parent_of(scope), name.clone())) {
                let message = format!("two layers are named `{name}`; give each a name of its own");
                return Err(GraphError::Name(message));
            }
        }
        let mut counts: HashMap<(Option<u64>, &str), usize> = HashMap::new();
        let mut paths: HashMap<u64, String> = HashMap::new();
        for scope in &scopes {
            let parent = parent_of(scope);
            let count = counts.entry((parent, &scope.kind)).or_default();
            let own = match &scope.name {
                Some(name) => name.clone(),
                None => next_free(&scope.kind, count, |name| taken.insert((parent, name.into()))),
            };
            let above = parent.and_then(|p| paths.get(&p)).map_or("", String::as_str);
            paths.insert(scope.id, join(above, &own));
        }
        Ok(Self { scopes, paths })
    }

    /// The path of a scope; empty for one that is not of this graph.
    pub(crate) fn path(&self, scope: u64) -> &str {
        self.paths.get(&scope).map_or("", String::as_str)
    }

    /// All scopes, parents before their children.
    pub(crate) fn scopes(&self) -> &[Arc<Scope>] {
        &self.scopes
    }
}

/// `above.own`, or `own` alone under the root.
pub(crate) fn join(above: &str, own: &str) -> String {
    if above.is_empty() {
        own.into()
    } else {
        format!("{above}.{own}")
    }
}

fn parent_of(scope: &Scope) -> Option<u64> {
    scope.parent.as_ref().map(|p| p.id)
}

fn scopes_of(nodes: &[Symbol]) -> Vec<Arc<Scope>> {
    let mut seen = HashSet::new();
    let mut scopes = Vec::new();
    for scope in nodes.iter().filter_map(Symbol::scope) {
        if !seen.contains(&scope.id) {
            scopes.extend(scope.path().into_iter().filter(|s| seen.insert(s.id)));
        }
    }
    scopes
}

/// `kind`, `kind_1`, `kind_2` …: the first from `count` on that `claim` grants.
fn next_free(kind: &str, count: &mut usize, mut claim: impl FnMut(&str) -> bool) -> String {
    loop {
        let name = match *count {
            0 => kind.to_string(),
            n => format!("{kind}_{n}"),
        };
        *count += 1;
        if claim(&name) {
            return name;
        }
    }
}

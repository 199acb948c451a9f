//! Scopes: which layer a node belongs to, so that tables, names and messages can say it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static CURRENT: RefCell<Option<Arc<Scope>>> = const { RefCell::new(None) };
}

/// One layer's place in the tree of layers. Nodes remember the scope they were made in.
#[derive(Debug)]
pub struct Scope {
    /// Unique number; scopes made later have larger ones.
    pub id: u64,
    /// The kind of layer, for example `conv2d`.
    pub kind: String,
    /// The name its author gave, if any.
    pub name: Option<String>,
    /// The enclosing scope.
    pub parent: Option<Arc<Scope>>,
}

impl Scope {
    /// Opens a scope on this thread until the returned guard is dropped.
    ///
    /// ```
    /// use graticule_graph::{Scope, Symbol};
    /// let node = {
    ///     let _layer = Scope::enter("dense", Some("head"));
    ///     Symbol::parameter("weight", [3, 2], Default::default())
    /// };
    /// assert_eq!(node.scope().unwrap().kind, "dense");
    /// ```
    pub fn enter(kind: &str, name: Option<&str>) -> ScopeGuard {
        let before = Self::current();
        let scope = Scope {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            kind: kind.into(),
            name: name.map(Into::into),
            parent: before.clone(),
        };
        CURRENT.with(|c| *c.borrow_mut() = Some(Arc::new(scope)));
        ScopeGuard { before }
    }

    /// Makes an existing scope (or none) the current one until the guard is dropped.
    pub fn resume(scope: Option<Arc<Scope>>) -> ScopeGuard {
        let before = Self::current();
        CURRENT.with(|c| *c.borrow_mut() = scope);
        ScopeGuard { before }
    }

    /// The innermost open scope of this thread.
    pub fn current() -> Option<Arc<Scope>> {
        CURRENT.with(|c| c.borrow().clone())
    }

    /// From the outermost scope to this one.
    pub fn path(self: &Arc<Self>) -> Vec<Arc<Scope>> {
        let mut path = vec![self.clone()];
        while let Some(parent) = path.last().and_then(|s| s.parent.clone()) {
            path.push(parent);
        }
        path.reverse();
        path
    }
}

/// Closes its scope when dropped.
#[must_use = "the scope closes when the guard is dropped"]
pub struct ScopeGuard {
    before: Option<Arc<Scope>>,
}

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        let before = self.before.take();
        CURRENT.with(|c| *c.borrow_mut() = before);
    }
}

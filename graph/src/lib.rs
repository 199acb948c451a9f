//! The language: shapes, ops, the symbolic graph, gradients, cost. Nothing here is fast.

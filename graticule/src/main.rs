//! The `graticule` binary.
fn main() {}

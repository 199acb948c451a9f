//! The translations, by family.

pub(super) mod elementwise;
pub(super) mod images;
pub(super) mod local;
pub(super) mod products;
pub(super) mod recurrent;
pub(super) mod resample;
pub(super) mod rows;
pub(super) mod shaping;

//! Sources (images, tables, toys), splits, normalisation, augmentation, batches, image filters.

pub mod filter;

//! The named networks, one file each.

//! Memory for numbers, aligned to cache lines.

use std::ops::{Deref, DerefMut};

/// Sixteen floats: one cache line, one AVX-512 vector.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([f32; 16]);

/// A zeroed, 64-byte aligned run of f32 numbers that never grows.
///
/// ```
/// let buffer = graticule_engine::Buffer::new(100);
/// assert_eq!(buffer.len(), 100);
/// assert_eq!(buffer.as_ptr() as usize % 64, 0);
/// ```
#[derive(Clone, Default)]
pub struct Buffer {
    lines: Vec<Line>,
    length: usize,
}

impl Buffer {
    /// `length` zeros.
    pub fn new(length: usize) -> Self {
        Self {
            lines: vec![Line([0.0; 16]); length.div_ceil(16)],
            length,
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: the lines hold at least `length` initialised floats.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

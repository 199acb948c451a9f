//! Memory for numbers, aligned to cache lines; large ones lie in huge pages where the system has them.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Bytes of a cache line, which is an AVX-512 vector.
const LINE: usize = 64;
/// Bytes of a huge page: one entry of the processor's address cache instead of 512.
const HUGE_PAGE: usize = 2 << 20;

/// A zeroed, 64-byte aligned run of f32 numbers that never grows.
///
/// ```
/// let buffer = graticule_engine::Buffer::new(100);
/// assert_eq!(buffer.len(), 100);
/// assert_eq!(buffer.as_ptr() as usize % 64, 0);
/// assert!(graticule_engine::Buffer::new(3_000_000).iter().all(|v| *v == 0.0));
/// ```
pub struct Buffer {
    numbers: NonNull<f32>,
    length: usize,
}

// SAFETY: a buffer owns its memory, as a `Vec` does.
unsafe impl Send for Buffer {}
// SAFETY: as above; changing it needs an exclusive borrow.
unsafe impl Sync for Buffer {}

/// Bytes from which on a whole huge page is taken: the memory that a worker goes through again and again is no larger
/// than a cache, but in small pages it has more of them than the processor remembers.
const LARGE: usize = HUGE_PAGE / 8;

/// What is allocated for `length` numbers: whole cache lines, or whole huge pages.
///
/// # Panics
/// When that is more than the address space, as `Vec` does.
fn layout(length: usize) -> Layout {
    let bytes = length.saturating_mul(size_of::<f32>());
    let unit = if bytes < LARGE { LINE } else { HUGE_PAGE };
    let whole = bytes.checked_next_multiple_of(unit).unwrap_or(usize::MAX);
    match Layout::from_size_align(whole, unit) {
        Ok(layout) => layout,
        Err(_) => panic!("a buffer of {length} numbers is larger than the address space"),
    }
}

impl Buffer {
    /// `length` zeros.
    pub fn new(length: usize) -> Self {
        let layout = layout(length);
        if length == 0 {
            return Self {
                numbers: NonNull::dangling(),
                length,
            };
        }
        // SAFETY: the layout has a size; huge pages are asked for before the memory is touched, and all of it
        // is written before anybody reads it.
        let memory = unsafe {
            if layout.align() == HUGE_PAGE {
                let memory = alloc(layout);
                if !memory.is_null() {
                    want_huge_pages(memory, layout.size());
                    memory.write_bytes(0, layout.size());
                }
                memory
            } else {
                alloc_zeroed(layout)
            }
        };
        match NonNull::new(memory.cast()) {
            Some(numbers) => Self { numbers, length },
            None => handle_alloc_error(layout),
        }
    }
}

/// Asks the system for huge pages; it may not have any, which changes nothing but the speed.
fn want_huge_pages(memory: *mut u8, bytes: usize) {
    // SAFETY: the range was just allocated, in whole pages; the advice does not change its content.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::madvise(memory.cast(), bytes, libc::MADV_HUGEPAGE);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (memory, bytes);
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: allocated in `new` with this layout.
            unsafe { dealloc(self.numbers.as_ptr().cast(), layout(self.length)) };
        }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.length);
        copy.copy_from_slice(self);
        copy
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: `length` initialised numbers, or none at an aligned address.
        unsafe { std::slice::from_raw_parts(self.numbers.as_ptr(), self.length) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.numbers.as_ptr(), self.length) }
    }
}

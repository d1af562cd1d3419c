//! Memory that SQLite's connections share beside the log. Nobody here looks into it.

use std::ffi::c_void;
use std::sync::atomic::AtomicU64;

/// A piece of it. It stays where it is for as long as anybody holds it. The words are atomic only so that all may write.
#[derive(Debug)]
pub(super) struct Region(Box<[AtomicU64]>);

impl Region {
    pub(super) fn new(bytes: usize) -> Self {
        Self((0..bytes.div_ceil(size_of::<AtomicU64>())).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn start(&self) -> *mut c_void {
        self.0.as_ptr().cast_mut().cast()
    }
}

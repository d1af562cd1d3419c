//! The consumers' face: pages for browsers, the same routes as JSON for programs.

pub mod pages;

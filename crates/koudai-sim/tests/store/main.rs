//! The production store on a simulated disk: whatever fails, and wherever the machine stops, what was answered is there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod books;
mod sweep;

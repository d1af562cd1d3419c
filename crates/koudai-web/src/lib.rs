//! The wallet, the merchants' gateway, the issuer's side for other apps and what networks tell, over HTTP.
//!
//! What it must never do: decide about money, write past the engine, or let one face import another. Each face words
//! every refusal once.

pub mod app;
pub mod assets;
pub mod bills;
pub mod catalogue;
pub mod gateway;
pub mod heard;
pub mod issuing;
mod known_keys;
mod peer;
pub mod say;
pub mod wallet;

use std::fmt::Write as _;

pub use app::App;

/// The whole server: the wallet's pages and JSON, the merchants' gateway under `/v3`, `/issuer/v1` for
/// other apps, and `/networks` for networks' notices.
pub fn router(app: App) -> axum::Router {
    gateway::router().merge(issuing::router()).merge(heard::router()).merge(wallet::router()).with_state(app)
}

/// Bytes in lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

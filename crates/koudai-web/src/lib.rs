//! The wallet and the merchants' gateway over HTTP.

pub mod app;
pub mod assets;
pub mod catalogue;
pub mod gateway;
pub mod say;
pub mod wallet;

pub use app::App;

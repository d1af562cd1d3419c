//! The wallet and the merchants' gateway over HTTP.

pub mod assets;
pub mod catalogue;
pub mod say;
pub mod wallet;

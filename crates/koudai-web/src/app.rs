//! What every handler has at hand.

use std::sync::Arc;

use koudai_engine::Engine;
use koudai_networks::Networks;

use crate::bills::Bills;
use crate::gateway::limits::Limiter;

/// What every handler has at hand; cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// Where commands go and what is committed is read.
    pub engine: Engine,
    /// Keys and the outside.
    pub networks: Arc<Networks>,
    /// Merchants' bills.
    pub bills: Arc<Bills>,
    /// How often merchants may ask.
    pub limiter: Arc<Limiter>,
    /// The public origin, without a slash at its end: `http://localhost:8080`.
    pub origin: Arc<str>,
    /// Who runs this wallet, as people read it.
    pub operator: Arc<str>,
    /// How people reach them, as people read it: a telephone number, a desk and its hours.
    pub contact: Option<Arc<str>>,
    /// Whether the origin is https, so that cookies are for https only.
    pub secure: bool,
}

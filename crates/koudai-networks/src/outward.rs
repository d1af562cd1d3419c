//! How connections to the outside are made, wherever they go: no proxy, no redirect, no retry that nobody asked for.

use std::time::Duration;

use reqwest::ClientBuilder;

/// A client that gives a call up after `timeout`. Without TLS there is nothing to trust, and a machine without root
/// certificates will do.
pub(crate) fn builder(timeout: Duration, tls: bool) -> ClientBuilder {
    let builder = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy();
    if tls { builder } else { builder.tls_certs_only([]) }
}

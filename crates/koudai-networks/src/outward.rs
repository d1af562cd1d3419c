//! How connections to the outside are made, wherever they go: no proxy, no redirect, no retry that nobody asked for.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{ClientBuilder, Url};

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

/// Whether an address may be gone to without TLS: it leads to this machine. A demo listens on any address of it.
pub(crate) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("");
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_this_machine_that_a_demo_listens_on_is_here_and_no_other_is() {
        for (url, here) in [
            ("http://localhost:8080/gateway.do", true),
            ("http://127.0.0.1", true),
            ("http://127.0.0.2:8075", true),
            ("http://[::1]:1", true),
            ("http://localhost.example.org", false),
            ("http://127.0.0.1.example.org", false),
            ("http://192.168.0.1", false),
            ("http://[fe80::1]", false),
        ] {
            assert_eq!(is_here(&url.parse().expect("an address")), here, "{url}");
        }
    }
}

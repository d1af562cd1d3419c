//! How connections to the outside are made, wherever they go: no proxy, no redirect, no retry that nobody asked for.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{ClientBuilder, Url};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

use crate::relay::Unusable;

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

/// TLS under other protocols than HTTP, by what this machine trusts and by `root` beside it, PEM.
///
/// # Errors
/// `Root`, or `Tls` if there is nothing to trust.
pub(crate) fn tls(root: Option<&str>) -> Result<Arc<ClientConfig>, Unusable> {
    let roots = root.map(certificates).transpose()?.unwrap_or_default();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(|_| Unusable::Tls)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Unusable::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificates of a PEM file, of which there is at least one and none is damaged.
///
/// # Errors
/// `Root`.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.ok().filter(|read| !read.is_empty()).ok_or(Unusable::Root)
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

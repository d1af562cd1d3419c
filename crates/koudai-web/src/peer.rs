//! Where a request comes from.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap};

/// Where a request comes from: the other end of the connection, or if that is a proxy on this machine, what it says last, with a
/// port or without. A proxy that passes on what others wrote there makes this wrong: it bounds how often codes are asked for and
/// passwords are wrong, and nothing else is decided by it.
pub(crate) fn address(extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    if !peer.ip().to_canonical().is_loopback() {
        return Some(peer.ip());
    }
    let forwarded = headers.get_all("x-forwarded-for").into_iter().next_back();
    let last = forwarded.and_then(|value| address_in(value.to_str().ok()?.rsplit(',').next()?.trim()));
    Some(last.unwrap_or_else(|| peer.ip()))
}

/// `198.51.100.1`, `198.51.100.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711`.
fn address_in(text: &str) -> Option<IpAddr> {
    let bare = || text.trim_matches(['[', ']']).parse().ok();
    text.parse::<SocketAddr>().map(|address| address.ip()).ok().or_else(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_peer_or_what_a_proxy_here_says_last() {
        let of = |peer: &str, forwarded: &[&str]| {
            let (mut extensions, mut headers) = (Extensions::new(), HeaderMap::new());
            extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            address(&extensions, &headers).unwrap().to_string()
        };
        assert_eq!(of("203.0.113.9", &["198.51.100.1"]), "203.0.113.9", "strangers are not believed");
        assert_eq!(of("127.0.0.1", &["10.0.0.1, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(of("::1", &["10.0.0.1", "198.51.100.2"]), "198.51.100.2");
        assert_eq!(of("127.0.0.1", &["198.51.100.3:4711"]), "198.51.100.3");
        assert_eq!(of("127.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(of("127.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(of("127.0.0.1", &["nobody"]), "127.0.0.1");
        assert_eq!(of("127.0.0.1", &[]), "127.0.0.1");
        assert!(address(&Extensions::new(), &HeaderMap::new()).is_none());
    }
}

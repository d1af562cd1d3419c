//! Where notifications may go. A merchant names the address, so it is hostile: no inner address, no redirect, and the
//! name is judged by what it resolves to at the moment of connecting.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url};

use crate::outward;

/// Where notifications may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only https, only public addresses: a production server.
    Public,
    /// This machine too, over http: the demo and tests.
    Local,
}

/// The time a merchant has to answer (protocol specification 4.2).
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The address, if a notification may go there by what it says; names are judged again when they are resolved.
pub fn reach_allows(reach: Reach, address: &str) -> Option<Url> {
    let url: Url = address.parse().ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let local_name = url.host_str() == Some("localhost");
    let literal = url.host_str().and_then(|h| h.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    let fine = match (reach, url.scheme()) {
        (_, "https") => literal.is_none_or(|ip| allowed(reach, ip)) && (reach == Reach::Local || !local_name),
        (Reach::Local, "http") => local_name || literal.is_some_and(|ip| ip.is_loopback()),
        _ => false,
    };
    (plain && fine && url.has_host()).then_some(url)
}

/// A client that connects only where `reach` allows.
pub(crate) fn client(reach: Reach) -> Client {
    let build = |tls| {
        let builder = outward::builder(ANSWER_WITHIN, tls).user_agent("Koudai-Notify/1");
        builder.dns_resolver(Arc::new(Guard(reach))).build()
    };
    match (build(true), reach) {
        (Ok(client), _) => client,
        // A demo on a machine without root certificates notifies its own shop all the same.
        (Err(_), Reach::Local) => build(false).expect("a client that trusts nobody needs nothing"),
        (Err(error), Reach::Public) => {
            panic!("this machine has no root certificates to notify merchants by: {error}")
        }
    }
}

struct Guard(Reach);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let fine: Vec<SocketAddr> = found.filter(|address| allowed(reach, address.ip())).collect();
            if fine.is_empty() {
                return Err("the name leads to no address that may be notified".into());
            }
            let addresses: Addrs = Box::new(fine.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address may be connected to: public ones, and this machine's own where `reach` says so.
fn allowed(reach: Reach, address: IpAddr) -> bool {
    (reach == Reach::Local && address.is_loopback()) || is_public(address)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let special =
                (a == 192 && b == 0 && c == 0) || (a == 198 && (b == 18 || b == 19)) || a == 0 || a >= 240;
            let inner = ip.is_private() || ip.is_loopback() || ip.is_link_local();
            !(inner || shared || special || ip.is_multicast() || ip.is_documentation())
        }
        IpAddr::V6(ip) => match embedded_v4(ip) {
            Some(v4) => is_public(IpAddr::V4(v4)),
            // Global unicast is 2000::/3; 2001:db8::/32 is for documentation.
            None => ip.segments()[0] & 0xe000 == 0x2000 && ip.segments()[..2] != [0x2001, 0xdb8],
        },
    }
}

/// The IPv4 address inside an IPv6 one: mapped, 6to4 or NAT64, any of which may lead back inside.
fn embedded_v4(ip: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    let pair = |high: u16, low: u16| {
        let ([first, second], [third, fourth]) = (high.to_be_bytes(), low.to_be_bytes());
        std::net::Ipv4Addr::new(first, second, third, fourth)
    };
    match ip.segments() {
        [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(pair(high, low)),
        _ => ip.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_production_server_notifies_public_https_addresses_only() {
        for good in ["https://merchant.example/notify", "https://1.1.1.1/n", "https://[2606:4700::1111]/n"] {
            assert!(reach_allows(Reach::Public, good).is_some(), "{good}");
        }
        for bad in [
            "http://merchant.example/notify",
            "https://localhost/",
            "https://127.0.0.1/",
            "https://10.0.0.1/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:7f00:1::]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://user@merchant.example/",
            "https://merchant.example/?q=1",
            "ftp://merchant.example/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(reach_allows(Reach::Public, bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_demo_notifies_this_machine_too_but_no_other_inner_one() {
        for good in ["http://localhost:8081/notify", "http://127.0.0.1:9/n", "https://merchant.example/n"] {
            assert!(reach_allows(Reach::Local, good).is_some(), "{good}");
        }
        for bad in [
            "http://10.0.0.1/",
            "http://169.254.169.254/",
            "https://192.168.0.1/",
            "http://merchant.example/",
        ] {
            assert!(reach_allows(Reach::Local, bad).is_none(), "{bad}");
        }
    }
}

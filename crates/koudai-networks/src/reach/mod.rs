//! Where notifications may go. A merchant names the address, so it is hostile: no inner address, no redirect, and the
//! name is judged by what it resolves to at the moment of connecting.

mod address;
mod names;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};

use crate::outward;

pub(crate) use address::is_inner;
pub use address::{InnerNetwork, NetworkError};
pub(crate) use names::NameError;

/// Where notifications may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only https, only public addresses: a production server.
    Public,
    /// As `Public`, and to these networks of the operator's too.
    Listed(&'static [InnerNetwork]),
    /// This machine too, over http: the demo and tests.
    Local,
}

impl Reach {
    /// What a production server reaches, given the networks its operator has listed. The list is read once and stays for
    /// the life of the process.
    pub fn listed(networks: Vec<InnerNetwork>) -> Self {
        if networks.is_empty() { Self::Public } else { Self::Listed(networks.leak()) }
    }
}

/// The time a merchant has to answer (protocol specification 4.2).
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The part of it that finding and connecting may take. A server that is there takes a fraction.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// The most headers of an answer, of which none is read.
const HEADERS: usize = 64;

/// The address, if a notification may go there by what it says; names are judged again when they are resolved.
pub fn reach_allows(reach: Reach, address: &str) -> Option<Url> {
    let url: Url = address.parse().ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let host = url.host_str()?;
    let local_name = host == "localhost" || host.ends_with(".localhost");
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let fine = match (reach, url.scheme()) {
        (_, "https") => {
            literal.is_none_or(|ip| address::allowed(reach, ip)) && (reach == Reach::Local || !local_name)
        }
        (Reach::Local, "http") => local_name || literal.is_some_and(|ip| ip.is_loopback()),
        _ => false,
    };
    (plain && fine).then_some(url)
}

/// A client that connects only where `reach` allows and keeps up to `idle` connections of each host for the next calls.
/// Each looks up names in places of its own.
pub(crate) fn client(reach: Reach, idle: usize) -> Client {
    client_by(reach, idle, &names::system())
}

fn client_by(reach: Reach, idle: usize, look_up: &names::LookUp) -> Client {
    let build = |tls| {
        let builder = outward::builder(ANSWER_WITHIN, tls).user_agent("Koudai-Notify/1");
        builder
            .connect_timeout(CONNECT_WITHIN)
            .http1_only()
            .http1_max_headers(HEADERS)
            .pool_max_idle_per_host(idle)
            // Ten thousand merchants' idle connections would be ten thousand sockets.
            .pool_idle_timeout(Duration::from_secs(10))
            .dns_resolver(Arc::new(names::Guard::new(reach, Arc::clone(look_up))))
            .build()
    };
    match (build(true), reach) {
        (Ok(client), _) => client,
        // A demo on a machine without root certificates notifies its own shop all the same.
        (Err(_), Reach::Local) => build(false).expect("a client that trusts nobody needs nothing"),
        (Err(error), Reach::Public | Reach::Listed(_)) => {
            panic!("this machine has no root certificates to notify merchants by: {error}")
        }
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
            "https://shop.localhost/",
            "https://127.0.0.1/",
            "https://10.0.0.1/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest",
            "https://100.64.0.1/",
            "https://100.100.100.200/",
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
    fn a_listed_network_is_notified_over_https_only() {
        let reach = Reach::listed(vec!["10.20.0.0/16".parse().unwrap()]);
        for (address, fine) in [
            ("https://10.20.1.1/n", true),
            ("https://169083137/n", true),
            ("http://10.20.1.1/n", false),
            ("https://10.21.1.1/n", false),
            ("https://[::ffff:10.20.1.1]/n", false),
            ("https://127.0.0.1/n", false),
            ("https://localhost/n", false),
            ("https://merchant.example/n", true),
        ] {
            assert_eq!(reach_allows(reach, address).is_some(), fine, "{address}");
        }
    }

    #[test]
    fn a_demo_notifies_this_machine_too_but_no_other_inner_one() {
        for good in [
            "http://localhost:8081/notify",
            "http://shop-1.localhost:8081/notify",
            "http://127.0.0.1:9/n",
            "https://merchant.example/n",
        ] {
            assert!(reach_allows(Reach::Local, good).is_some(), "{good}");
        }
        for bad in [
            "http://10.0.0.1/",
            "http://169.254.169.254/",
            "https://192.168.0.1/",
            "http://merchant.example/",
            "http://notlocalhost/",
        ] {
            assert!(reach_allows(Reach::Local, bad).is_none(), "{bad}");
        }
    }

    /// A listener on this machine that nobody may come to, and a client for whom a name leads there.
    async fn refused_by(reach: Reach) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let look_up: names::LookUp =
            Arc::new(|_, _permit| Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) }));
        let client = client_by(reach, 1, &look_up);
        let sent = client.post(format!("https://merchant.example:{port}/n")).send().await;
        let error = sent.unwrap_err();
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        let named: Vec<_> = causes.filter_map(|cause| cause.downcast_ref::<NameError>()).collect();
        assert!(matches!(named.as_slice(), [NameError::NotAllowed]), "{error:?}");
        let nobody = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
        assert!(nobody.is_err(), "somebody came");
    }

    #[tokio::test]
    async fn no_connection_is_made_to_where_a_public_name_leads_inside() {
        refused_by(Reach::Public).await;
        refused_by(Reach::listed(vec!["10.0.0.0/8".parse().unwrap()])).await;
    }
}

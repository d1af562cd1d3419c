//! Where a server may be: on this machine. What is sent is not encrypted, so that another host is refused, not trusted.

use std::time::Duration;

use koudai_core::secret::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::error::StoreError;

/// How long a server may take to answer a new connection.
const CONNECTING: Duration = Duration::from_secs(10);
/// How long what was sent may stay unacknowledged before the connection counts as lost.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// After how long in silence the other side is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(10);

/// The settings of connections to a URL.
///
/// # Errors
/// `Address` if it names another machine, or nothing that can be reached.
pub(super) fn parse(url: &Secret<String>) -> Result<Config, StoreError> {
    let refuse = |what: &str| StoreError::Address { what: what.to_owned() };
    // The parser's own words may quote the URL, and a password in it.
    let mut config: Config = url.expose().parse().map_err(|_| refuse("it is not a URL of PostgreSQL's"))?;
    let here = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    };
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(refuse("it names no host: give a Unix socket's directory or localhost"));
    }
    if !config.get_hosts().iter().all(here)
        || !config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
    {
        return Err(refuse(
            "the server is on another machine and the connection would not be encrypted; use a Unix socket, \
             or a tunnel that ends on this machine",
        ));
    }
    if config.get_ssl_mode() == SslMode::Require {
        return Err(refuse(
            "it requires TLS, which is not spoken here: the server has to be on this machine",
        ));
    }
    config.ssl_mode(SslMode::Disable);
    config.connect_timeout(CONNECTING).tcp_user_timeout(UNACKNOWLEDGED).keepalives_idle(SILENCE);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_on_this_machine_or_refused() {
        let parsed = |url: &str| parse(&Secret::new(url.to_owned()));
        for url in [
            "postgresql://koudai@localhost/wallet",
            "postgresql://koudai@127.0.0.1:5433/wallet",
            "postgresql://koudai@[::1]/wallet",
            "postgresql://koudai@%2Frun%2Fpostgresql/wallet",
            "host=/run/postgresql user=koudai",
        ] {
            assert!(parsed(url).is_ok(), "{url}");
        }
        for url in [
            "postgresql://koudai:s3cret@db.example.com/wallet",
            "postgresql://koudai:s3cret@10.0.0.1/wallet",
            "postgresql://koudai:s3cret@localhost,10.0.0.1/wallet",
            "host=localhost hostaddr=10.0.0.1 user=koudai password=s3cret",
            "postgresql://koudai:s3cret@localhost/wallet?sslmode=require",
            "postgresql://koudai:s3cret@localhost:port/wallet",
            "user=koudai password=s3cret",
        ] {
            match parsed(url) {
                Err(StoreError::Address { what }) => assert!(!what.contains("s3cret"), "{what}"),
                other => panic!("{url}: {other:?}"),
            }
        }
    }
}

//! The demo's ports. They are held from the start, so that nobody takes one in between; only those of the sandboxes, which
//! processes of their own have to bind, are looked for when they start.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use super::host;
use crate::failure::Failure;

/// Where the demo listens unless it is told.
const FIRST: u16 = 8080;
/// How many ports are tried for each face.
const TRIES: u16 = 200;

/// The demo's ports.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) wallet: TcpListener,
    pub(super) shop: TcpListener,
    /// From here on the bank looks for a free one.
    pub(super) bank: u16,
    pub(super) inbox: TcpListener,
    /// From here on UnionPay looks for a free one.
    pub(super) unionpay: u16,
    /// From here on Alipay looks for a free one.
    pub(super) alipay: u16,
    /// Where the inbox takes mail.
    pub(super) mail: TcpListener,
}

impl Ports {
    /// Takes `listen`, or the first free port from 8080 on, and the next free ones for the others.
    ///
    /// # Errors
    /// If the address is not this machine's own, or taken.
    pub(super) fn take(listen: Option<SocketAddr>) -> Result<Self, Failure> {
        let wallet = match listen {
            Some(address) => exactly(address)?,
            None => next_free(IpAddr::V4(Ipv4Addr::LOCALHOST), FIRST)?,
        };
        let at = wallet.local_addr().map_err(|error| super::port_failure(&error))?;
        let shop = next_free(at.ip(), after(&wallet)?)?;
        let bank = after(&shop)?;
        // One port is left free between the two for the bank.
        let bank_holder = next_free(at.ip(), bank)?;
        let inbox = next_free(at.ip(), after(&bank_holder)?)?;
        let bank = after(&bank_holder)? - 1;
        let unionpay = after(&inbox)?;
        let alipay = following(unionpay)?;
        let mail = next_free(at.ip(), following(alipay)?)?;
        Ok(Self { wallet, shop, bank, inbox, unionpay, alipay, mail })
    }
}

fn exactly(address: SocketAddr) -> Result<TcpListener, Failure> {
    if !address.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "--listen {address}: the demo has no TLS, so codes and passwords would cross the network in the clear, and \
             anyone there could read its inbox; use 127.0.0.1:{}, or `koudai serve` for a real server",
            address.port()
        )));
    }
    TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => Failure::new(format!(
            "--listen {address}: another program listens there; choose another port, or leave --listen out to get a \
             free one"
        )),
        _ => Failure::because(format!("listening on {address}"), &error),
    })
}

/// The first port from `from` on that is free.
pub(super) fn next_free(ip: IpAddr, from: u16) -> Result<TcpListener, Failure> {
    for port in from..=from.saturating_add(TRIES) {
        // A browser may try `localhost` over IPv6 first, so a port somebody holds there is not free for us.
        let other = if ip == IpAddr::V4(Ipv4Addr::LOCALHOST) {
            TcpListener::bind((Ipv6Addr::LOCALHOST, port)).err().map(|error| error.kind())
        } else {
            None
        };
        match TcpListener::bind((ip, port)) {
            Ok(listener) if other != Some(ErrorKind::AddrInUse) => return Ok(listener),
            Err(error) if !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {
                return Err(super::port_failure(&error));
            }
            _ => {}
        }
    }
    Err(Failure::new(format!("no port from {from} on is free; give another with --listen")))
}

fn after(listener: &TcpListener) -> Result<u16, Failure> {
    let port = listener.local_addr().map_err(|error| super::port_failure(&error))?.port();
    following(port)
}

fn following(port: u16) -> Result<u16, Failure> {
    port.checked_add(1)
        .ok_or_else(|| Failure::usage("no port is left after 65535; give a lower one with --listen"))
}

/// Where people open a listener: `http://localhost:8080`.
pub(super) fn address(listener: &TcpListener) -> Result<String, Failure> {
    Ok(format!("http://{}", host(listener.local_addr().map_err(|error| super::port_failure(&error))?)))
}

/// Where our own programs reach a listener, without asking what `localhost` is.
pub(super) fn internal(listener: &TcpListener) -> Result<String, Failure> {
    Ok(format!("http://{}", listener.local_addr().map_err(|error| super::port_failure(&error))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faces_get_their_ports_in_order() {
        let ports = Ports::take(None).unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let all = [
            port(&ports.wallet),
            port(&ports.shop),
            ports.bank,
            port(&ports.inbox),
            ports.unionpay,
            ports.alipay,
            port(&ports.mail),
        ];
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
        assert_eq!(address(&ports.wallet).unwrap(), format!("http://localhost:{}", all[0]));
    }

    #[test]
    fn a_port_that_was_asked_for_is_never_swapped_for_another() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let failure = Ports::take(Some(held.local_addr().unwrap())).unwrap_err();
        assert!(failure.to_string().contains("another program"), "{failure}");
    }

    #[test]
    fn other_machines_are_refused_with_the_reason() {
        for address in ["0.0.0.0:8080", "[::]:8080", "192.168.1.2:8080"] {
            let failure = Ports::take(Some(address.parse().unwrap())).unwrap_err();
            assert!(failure.to_string().contains("TLS"), "{failure}");
        }
    }
}

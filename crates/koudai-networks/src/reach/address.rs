//! Which addresses may be connected to. Everything that is not plainly somebody else's public address is refused, however
//! it is spelled, but for the networks an operator has listed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::Reach;

/// The ranges an operator's networks may lie in: private ones (RFC 1918), what carriers share (RFC 6598), unique local
/// ones (RFC 4193). All else is public already, or leads to the machine itself, its neighbours or its keeper.
const LISTABLE: [InnerNetwork; 5] = [
    InnerNetwork { base: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), prefix: 8 },
    InnerNetwork { base: IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), prefix: 12 },
    InnerNetwork { base: IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), prefix: 16 },
    InnerNetwork { base: IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), prefix: 10 },
    InnerNetwork { base: IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), prefix: 7 },
];

/// Where clouds keep their machines' metadata and keys, outside of link-local addresses: never, whatever is listed.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// A network whose addresses may be notified although they are not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InnerNetwork {
    base: IpAddr,
    prefix: u8,
}

/// Why a text is no network that may be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It is not written as one.
    #[error("write a network as its first address and its length, such as 10.20.0.0/16")]
    Shape,
    /// It has addresses that never may be notified, or need no leave.
    #[error(
        "only a part of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fc00::/7 can be allowed; public \
         addresses are anyway, and those of this machine, of its link and of a cloud's metadata never"
    )]
    Range,
}

impl InnerNetwork {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => {
                let differs = base.to_bits() ^ ip.to_bits();
                differs.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(base), IpAddr::V6(ip)) => {
                let differs = base.to_bits() ^ ip.to_bits();
                differs.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }

    /// Whether the base is the first address, with nothing behind the prefix.
    fn is_first(&self) -> bool {
        match self.base {
            IpAddr::V4(base) => base.to_bits().trailing_zeros() + u32::from(self.prefix) >= 32,
            IpAddr::V6(base) => base.to_bits().trailing_zeros() + u32::from(self.prefix) >= 128,
        }
    }
}

impl FromStr for InnerNetwork {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (base, prefix) = text.split_once('/').ok_or(NetworkError::Shape)?;
        let base: IpAddr = base.parse().map_err(|_| NetworkError::Shape)?;
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|_| digits).ok_or(NetworkError::Shape)?;
        let network = Self { base, prefix };
        if prefix > if base.is_ipv4() { 32 } else { 128 } || !network.is_first() {
            return Err(NetworkError::Shape);
        }
        let within = |whole: &Self| whole.contains(base) && prefix >= whole.prefix;
        if LISTABLE.iter().any(within) { Ok(network) } else { Err(NetworkError::Range) }
    }
}

impl fmt::Display for InnerNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// Whether an address is one of an operator's own networks.
pub(crate) fn is_inner(address: IpAddr) -> bool {
    !METADATA.contains(&address) && LISTABLE.iter().any(|network| network.contains(address))
}

/// Whether an address may be connected to.
pub(super) fn allowed(reach: Reach, address: IpAddr) -> bool {
    if METADATA.contains(&address) {
        return false;
    }
    match reach {
        Reach::Local if address.is_loopback() => true,
        Reach::Listed(networks) if networks.iter().any(|network| network.contains(address)) => true,
        Reach::Local | Reach::Listed(_) | Reach::Public => is_public(address),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let relay = (a, b, c) == (192, 88, 99);
            let special =
                (a, b, c) == (192, 0, 0) || (a == 198 && (b == 18 || b == 19)) || a == 0 || a >= 240;
            let inner = ip.is_private() || ip.is_loopback() || ip.is_link_local();
            !(inner || shared || relay || special || ip.is_multicast() || ip.is_documentation())
        }
        IpAddr::V6(ip) => match embedded_v4(ip) {
            // What a gateway would turn into an address of ours is no public one. Nor is a cloud's own.
            Some(v4) => is_public(IpAddr::V4(v4)) && !METADATA.contains(&IpAddr::V4(v4)),
            None => is_global_unicast(ip),
        },
    }
}

/// `2000::/3` without what is set aside in it: protocols of the IETF's, Teredo among them, and documentation.
fn is_global_unicast(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let protocols = first == 0x2001 && second < 0x200;
    let documentation = (first, second) == (0x2001, 0xdb8) || (first == 0x3fff && second < 0x1000);
    first & 0xe000 == 0x2000 && !protocols && !documentation
}

/// The IPv4 address inside an IPv6 one: mapped, 6to4 or NAT64, any of which may lead back inside.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let pair = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(pair(high, low)),
        _ => ip.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_campus_may_list_its_own_networks_and_nothing_else() {
        for good in ["10.0.0.0/8", "10.20.0.0/16", "192.168.7.7/32", "100.96.0.0/12", "fd12:3456::/32"] {
            assert_eq!(good.parse::<InnerNetwork>().unwrap().to_string(), good);
        }
        for bad in
            ["10.0.0.1/8", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "x/8", "/8", "10.0.0.0/", "fd12::1/32"]
        {
            assert_eq!(bad.parse::<InnerNetwork>(), Err(NetworkError::Shape), "{bad}");
        }
        for bad in [
            "0.0.0.0/0",
            "8.0.0.0/6",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/4",
            "1.1.1.0/24",
            "::/0",
            "::1/128",
            "fe80::/10",
            "ff00::/8",
            "::ffff:10.0.0.0/104",
        ] {
            assert_eq!(bad.parse::<InnerNetwork>(), Err(NetworkError::Range), "{bad}");
        }
    }

    #[test]
    fn what_is_listed_is_reached_and_what_never_may_be_is_not() {
        let all: Vec<InnerNetwork> = LISTABLE.to_vec();
        let reach = Reach::listed(all);
        for good in
            ["10.1.2.3", "172.31.0.1", "192.168.0.1", "100.64.0.1", "fd12::1", "1.1.1.1", "2606:4700::1"]
        {
            assert!(allowed(reach, ip(good)), "{good}");
        }
        for never in [
            "127.0.0.1",
            "0.0.0.0",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            // The same, and inner ones, in other spellings.
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:168.63.129.16",
            "::ffff:10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001:0:4136:e378::1",
            "::127.0.0.1",
            "2001:db8::1",
            "3fff::1",
        ] {
            assert!(!allowed(reach, ip(never)), "{never}");
        }
    }

    #[test]
    fn a_listed_network_ends_where_it_ends() {
        let reach = Reach::listed(vec!["10.20.0.0/15".parse().unwrap()]);
        for (address, fine) in
            [("10.19.255.255", false), ("10.20.0.0", true), ("10.21.255.255", true), ("10.22.0.0", false)]
        {
            assert_eq!(allowed(reach, ip(address)), fine, "{address}");
        }
        assert_eq!(Reach::listed(vec![]), Reach::Public);
    }
}

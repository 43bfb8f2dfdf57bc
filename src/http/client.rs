//! Whose request it is: the address behind trusted proxies, and what a log line may say of a path.
//!
//! `X-Forwarded-For` counts only from configured proxies, and of it only the right-most hop that is none of them; everything
//! left of that can be invented. Addresses are for limits only and are never logged.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, request::Parts};
use ipnet::IpNet;

/// The address of the caller, as far as it can be believed. IPv6 is cut to /64: what one subscriber holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The caller's address; the unspecified one when the listener did not say (which no listener of ours does).
    pub fn of(parts: &Parts, proxies: &[IpNet]) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let peer = peer.unwrap_or(IpAddr::from([0, 0, 0, 0]));
        Self(subscriber(believe(peer, &parts.headers, proxies)))
    }
}

fn believe(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_proxy = |address: &IpAddr| proxies.iter().any(|net| net.contains(address));
    let mut nearest = peer.to_canonical();
    if !is_proxy(&nearest) {
        return nearest;
    }
    let values: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        nearest = address.to_canonical();
        if !is_proxy(&nearest) {
            break;
        }
    }
    nearest
}

fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpNet::new(IpAddr::V6(v6), 64).map_or(address, |net| net.network()),
    }
}

/// A path as it may be logged: secrets in it are replaced.
pub fn loggable(path: &str) -> String {
    let mut follows_s = false;
    let shown: Vec<&str> = path
        .split('/')
        .enumerate()
        .map(|(at, segment)| {
            let is_secret = follows_s || looks_secret(segment);
            follows_s = at == 1 && segment == "s";
            if is_secret && !segment.is_empty() { "[token]" } else { segment }
        })
        .collect();
    shown.join("/").chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Whether a part of a URL holds what looks like a credential of ours, percent-encoded or not.
pub fn looks_secret(part: &str) -> bool {
    let plain = decoded(part);
    plain.contains("parlour_") || plain.starts_with("eyJ")
}

/// The text behind percent-encoding (RFC 3986 §2.1); what is none stays as it is.
pub fn decoded(part: &str) -> String {
    let mut plain = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|two| *first == b'%' && two.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn believed(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let proxies = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        believe(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_their_nearest_hop() {
        for (peer, forwarded, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4", "198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4, rubbish"], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4, rubbish, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
        ] {
            assert_eq!(believed(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_address() {
        assert_eq!(subscriber("2001:db8::1:2:3:4".parse().unwrap()), subscriber("2001:db8::9".parse().unwrap()));
        assert_ne!(subscriber("192.0.2.1".parse().unwrap()), subscriber("192.0.2.2".parse().unwrap()));
    }

    #[test]
    fn secrets_in_paths_are_not_logged() {
        for (path, shown) in [
            ("/s/parlour_sh_abc", "/s/[token]"),
            ("/s/anything", "/s/[token]"),
            ("/s/", "/s/"),
            ("/s", "/s"),
            ("/x/parlour_sk_abc/y", "/x/[token]/y"),
            ("/x/%70arlour_sk_abc", "/x/[token]"),
            ("/x/parlour%5Fsk%5fabc", "/x/[token]"),
            ("/x/%65yJhbGciOi", "/x/[token]"),
            ("/x/100%/%2/%zz", "/x/100%/%2/%zz"),
            ("/eyJhbGciOi", "/[token]"),
            ("/api/v1/shares/claim", "/api/v1/shares/claim"),
        ] {
            assert_eq!(loggable(path), shown);
        }
        assert!(loggable(&"/x".repeat(1_000)).len() <= 200);
    }
}

//! Where `parlour dev` can be reached: a port that is free, and with `--lan` this machine's address on the local network.
//!
//! Without `--lan` nobody but this machine can connect. A port that was asked for is taken or refused, never replaced.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use tokio::net::TcpListener;

use crate::cli::error::{CliError, Exit};

/// Tried in order, unless a port is given.
const PORTS: std::ops::RangeInclusive<u16> = 8080..=8099;
/// An address that leads nowhere (RFC 5737, TEST-NET-1): asking for the way to it tells which address of ours is outward.
const NOWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// A bound listener and what to call it.
#[derive(Debug)]
pub struct Place {
    pub listener: TcpListener,
    pub host: IpAddr,
    pub port: u16,
}

impl Place {
    /// Binds one place for each node: the given port and those after it, or the first that are free.
    pub async fn find_all(nodes: u8, port: Option<u16>, lan: bool) -> Result<Vec<Self>, CliError> {
        let mut places = vec![];
        for number in 0..u16::from(nodes) {
            let port = match port {
                // Any port for the first node means any port for all.
                None | Some(0) => port,
                Some(first) => Some(first.checked_add(number).ok_or_else(|| beyond_the_last(first))?),
            };
            places.push(Self::find(port, lan).await?);
        }
        Ok(places)
    }

    /// Binds the given port, or the first free one.
    async fn find(port: Option<u16>, lan: bool) -> Result<Self, CliError> {
        let (bind, host) = if lan {
            (Ipv4Addr::UNSPECIFIED, lan_address()?)
        } else {
            (Ipv4Addr::LOCALHOST, IpAddr::V4(Ipv4Addr::LOCALHOST))
        };
        let candidates = port.map_or(PORTS, |port| port..=port);
        let mut trouble = String::new();
        for candidate in candidates.clone() {
            match TcpListener::bind(SocketAddr::from((bind, candidate))).await.and_then(|it| Ok((it.local_addr()?, it)))
            {
                Ok((address, listener)) => return Ok(Self { listener, host, port: address.port() }),
                Err(error) => trouble = error.to_string(),
            }
        }
        let (first, last) = candidates.into_inner();
        let ports = if first == last { first.to_string() } else { format!("{first} to {last}") };
        let message = format!("cannot listen on port {ports}: {trouble}; choose another with --port");
        Err(CliError::new(Exit::Unavailable, message))
    }

    /// Scheme, host and port, as links begin.
    pub fn url(&self) -> String {
        format!("http://{}", SocketAddr::new(self.host, self.port))
    }

    /// Every origin a browser may call it by.
    pub fn origins(&self) -> Vec<String> {
        let mut hosts = vec![self.host.to_string(), "127.0.0.1".to_owned(), "localhost".to_owned()];
        hosts.dedup();
        hosts.into_iter().map(|host| format!("http://{host}:{}", self.port)).collect()
    }
}

fn beyond_the_last(first: u16) -> CliError {
    CliError::new(Exit::Usage, format!("there are not enough ports after {first}; choose a smaller --port"))
}

/// This machine's address on the local network. Connecting a UDP socket sends nothing; it only chooses a route.
fn lan_address() -> Result<IpAddr, CliError> {
    let ask = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(NOWHERE)?;
        socket.local_addr()
    };
    match ask().map(|address| address.ip()) {
        Ok(address) if !address.is_unspecified() && !address.is_loopback() => Ok(address),
        _ => Err(CliError::new(Exit::Unavailable, "this machine is on no network; start without --lan")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_passed_over_unless_it_was_asked_for() {
        let first = Place::find(None, false).await.unwrap();
        let second = Place::find(None, false).await.unwrap();
        assert_ne!(first.port, second.port);
        assert_eq!(first.url(), format!("http://127.0.0.1:{}", first.port));
        let refused = Place::find(Some(first.port), false).await.unwrap_err();
        assert!(refused.to_string().contains("--port"), "{refused}");
        assert_ne!(Place::find(Some(0), false).await.unwrap().port, 0);
    }

    #[tokio::test]
    async fn every_node_has_a_port_of_its_own() {
        let anywhere = Place::find_all(2, Some(0), false).await.unwrap();
        assert_ne!(anywhere[0].port, anywhere[1].port);
        let free = Place::find_all(3, None, false).await.unwrap();
        assert!(free[0].port != free[1].port && free[1].port != free[2].port && free[0].port != free[2].port);
        let taken = anywhere[1].port;
        let refused = Place::find_all(2, Some(taken - 1), false).await.unwrap_err();
        assert!(refused.to_string().contains("--port"), "{refused}");
        let refused = Place::find_all(2, Some(u16::MAX), false).await.unwrap_err();
        assert!(refused.to_string().contains("--port"), "{refused}");
    }
}

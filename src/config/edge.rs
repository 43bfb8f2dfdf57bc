//! Where Parlour listens and how the world reaches it: addresses, the public URL, origins, proxies.
//!
//! The public URL is required, because links are made of it and a guessed one would be sent to clients. An origin is never
//! `*`: cookies and the socket trust what is listed here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::Uri;
use clap::Args;
use ipnet::IpNet;

use crate::config::problem::{Problems, Setting, given, list};

const PORT_DEFAULT: u16 = 8080;
const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// Where people reach this installation.
pub const PUBLIC_URL: Setting = Setting {
    name: "PUBLIC_URL",
    what: "where people reach this installation: scheme and host, without a path; links are made of it",
    example: "https://chat.example.com",
};
const LISTEN_ADDR: Setting =
    Setting { name: "LISTEN_ADDR", what: "the address and port to serve on", example: "0.0.0.0:8080" };
const PORT: Setting =
    Setting { name: "PORT", what: "the port to serve on, where LISTEN_ADDR is not given", example: "8080" };
const ADMIN_ADDR: Setting = Setting {
    name: "ADMIN_ADDR",
    what: "the address and port of /metrics and /livez for the operator, or off",
    example: "127.0.0.1:9090",
};
const ALLOWED_ORIGINS: Setting = Setting {
    name: "ALLOWED_ORIGINS",
    what: "origins besides PUBLIC_URL whose pages may use the API from a browser, separated by commas",
    example: "https://console.example.com",
};
const TRUSTED_PROXIES: Setting = Setting {
    name: "TRUSTED_PROXIES",
    what: "networks of the proxies whose X-Forwarded-For is believed, separated by commas",
    example: "10.0.0.0/8,127.0.0.1/32",
};

/// Addresses and origins.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Addresses")]
pub struct EdgeSettings {
    /// Where people reach this installation, such as https://chat.example.com.
    #[arg(long, env = PUBLIC_URL.name, value_name = "URL")]
    public_url: Option<String>,
    /// The address and port to serve on [default: 0.0.0.0:8080].
    #[arg(long, env = LISTEN_ADDR.name, value_name = "ADDRESS:PORT")]
    listen_addr: Option<String>,
    /// The port to serve on, where no listen address is given.
    #[arg(long, env = PORT.name, value_name = "PORT")]
    port: Option<String>,
    /// The operator's address for /metrics and /livez, or off [default: 127.0.0.1:9090].
    #[arg(long, env = ADMIN_ADDR.name, value_name = "ADDRESS:PORT")]
    admin_addr: Option<String>,
    /// Origins besides the public URL's whose pages may use the API, separated by commas.
    #[arg(long, env = ALLOWED_ORIGINS.name, value_name = "ORIGINS")]
    allowed_origins: Option<String>,
    /// Networks of proxies whose X-Forwarded-For is believed, separated by commas.
    #[arg(long, env = TRUSTED_PROXIES.name, value_name = "NETWORKS")]
    trusted_proxies: Option<String>,
}

/// Checked addresses and origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Without a slash at the end; none when it is missing or wrong.
    pub public_url: Option<String>,
    /// Where to serve; none when it is wrong.
    pub listen: Option<SocketAddr>,
    /// Where to serve the operator; none when switched off.
    pub admin: Option<SocketAddr>,
    /// With the public URL's own.
    pub allowed_origins: Vec<String>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// Where people reach this installation, for the commands that make links.
#[derive(Clone, Debug, Args)]
pub struct PublicUrlSettings {
    /// Where people reach this installation, such as https://chat.example.com.
    #[arg(long, env = PUBLIC_URL.name, value_name = "URL")]
    public_url: Option<String>,
}

impl PublicUrlSettings {
    /// The URL, if it can be one.
    pub fn check(&self, problems: &mut Problems) -> Option<String> {
        public_url(self.public_url.as_deref(), problems)
    }
}

impl EdgeSettings {
    /// Checks everything.
    pub fn check(&self, problems: &mut Problems) -> Edge {
        let public_url = public_url(self.public_url.as_deref(), problems);
        let mut allowed_origins: Vec<String> = public_url.iter().cloned().collect();
        for origin in list(self.allowed_origins.as_deref()) {
            match read_origin(origin) {
                Ok(origin) => allowed_origins.push(origin),
                Err(fault) => problems.invalid(ALLOWED_ORIGINS, format!("holds {origin}, which {fault}")),
            }
        }
        let mut trusted_proxies = vec![];
        for network in list(self.trusted_proxies.as_deref()) {
            match network.parse::<IpNet>().or_else(|_| network.parse::<IpAddr>().map(IpNet::from)) {
                Ok(network) => trusted_proxies.push(network),
                Err(_) => problems.invalid(TRUSTED_PROXIES, format!("holds {network}, which is no network")),
            }
        }
        let admin = match given(self.admin_addr.as_deref()) {
            Some("off") => None,
            text => Some(problems.read_or(ADMIN_ADDR, text, ADMIN_DEFAULT, read_address)),
        };
        Edge { public_url, listen: self.check_listen(problems), admin, allowed_origins, trusted_proxies }
    }

    fn check_listen(&self, problems: &mut Problems) -> Option<SocketAddr> {
        let read_port = |text: &str| text.parse::<u16>().map_err(|_| "is no port number".to_owned());
        let port = problems.read_or(PORT, self.port.as_deref(), PORT_DEFAULT, read_port);
        let default = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let read = |text: &str| read_address(text).map(Some);
        problems.read_or(LISTEN_ADDR, self.listen_addr.as_deref(), Some(default), read)
    }
}

impl Edge {
    /// Whether only this machine can reach it: what it listens on and what it is called are both loopback.
    pub fn is_private(&self) -> bool {
        let is_loopback = |host: &str| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        };
        let uri = self.public_url.as_deref().and_then(|url| url.parse::<Uri>().ok());
        self.listen.is_some_and(|address| address.ip().is_loopback())
            && uri.is_some_and(|uri| uri.host().is_some_and(is_loopback))
    }
}

fn public_url(value: Option<&str>, problems: &mut Problems) -> Option<String> {
    let value = problems.required(PUBLIC_URL, value)?;
    read_origin(value).map_err(|fault| problems.invalid(PUBLIC_URL, fault)).ok()
}

/// Reads `scheme://host[:port]`, with or without a slash at the end, as browsers send it in `Origin`.
fn read_origin(text: &str) -> Result<String, String> {
    let fault = || "is no http:// or https:// URL of a host alone".to_owned();
    let uri: Uri = text.parse().map_err(|_| fault())?;
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(fault());
    };
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
        return Err(fault());
    }
    Ok(format!("{scheme}://{}", authority.as_str().to_ascii_lowercase()))
}

fn read_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "is no address with a port".to_owned())
}

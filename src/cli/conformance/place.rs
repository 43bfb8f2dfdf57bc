//! Where a server under test is reached, and requests to it: plain HTTP/1.1, one connection each, so that nothing of an earlier
//! request can help or hurt a later one.
//!
//! TLS is refused with a sentence: behind a proxy that ends it, test the server itself.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    authority: String,
}

/// One request, as a scenario asks for it.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub token: Option<&'a str>,
    pub key: Option<&'a str>,
    pub body: Option<&'a Value>,
}

impl Place {
    /// The server at a URL; only scheme, host and port of it count.
    pub fn find(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        match uri.scheme_str() {
            Some("ws" | "http") => {}
            Some("wss" | "https") => {
                return Err(format!("{url}: TLS is not spoken here; give the address behind the proxy"));
            }
            _ => return Err(format!("{url}: begin with ws:// or http://")),
        }
        let authority = uri.authority().ok_or_else(|| format!("{url} names no host"))?;
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self { authority: format!("{}:{port}", authority.host()) })
    }

    /// The address of its socket.
    pub fn socket_url(&self) -> String {
        format!("ws://{}/api/v1/ws", self.authority)
    }

    /// A connection to it.
    pub async fn connect(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect(&self.authority).await;
        stream.map_err(|error| format!("{} cannot be reached: {error}", self.authority))
    }

    /// Asks; status and body (null when it is no JSON).
    pub async fn call(&self, call: &Call<'_>) -> Result<(u16, Value), String> {
        let stream = TokioIo::new(self.connect().await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(in_words)?;
        let request = self.request(call)?;
        // The connection makes progress only while it is polled, and ends when the answer has been read.
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(in_words)?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.map_err(in_words)?.to_bytes();
            Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
        };
        tokio::pin!(connection);
        tokio::pin!(exchange);
        // Both branches are cancel-safe: whichever ends first leaves the other as it is.
        tokio::select! {
            answer = &mut exchange => answer,
            ended = &mut connection => {
                ended.map_err(in_words)?;
                exchange.await
            }
        }
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<Full<Bytes>>, String> {
        let method = Method::from_bytes(call.method.as_bytes()).map_err(in_words)?;
        let mut request = Request::builder().method(method).uri(call.path).header("host", &self.authority);
        if let Some(token) = call.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = call.key {
            request = request.header("idempotency-key", key);
        }
        let body = call.body.map(|body| Bytes::from(body.to_string()));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        request.body(Full::new(body.unwrap_or_default())).map_err(in_words)
    }
}

fn in_words(error: impl std::error::Error) -> String {
    format!("no answer over HTTP: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_scheme_host_and_port_count() {
        let socket = |url: &str| Place::find(url).map(|place| place.socket_url());
        for url in ["ws://127.0.0.1:8080/api/v1/ws", "http://127.0.0.1:8080"] {
            assert_eq!(socket(url).unwrap(), "ws://127.0.0.1:8080/api/v1/ws");
        }
        assert_eq!(socket("http://[::1]").unwrap(), "ws://[::1]:80/api/v1/ws");
        for url in ["wss://a.example", "https://a.example", "a.example:80", "ftp://a", ""] {
            assert!(socket(url).is_err(), "{url}");
        }
    }
}

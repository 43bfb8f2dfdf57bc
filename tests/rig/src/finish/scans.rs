//! Where no word of a tenant and no secret may be: keys of Redis, what nodes logged, what they measure. And whether the spy on
//! the bus heard anything at all.
//!
//! Every scan also says when it saw nothing, which would prove nothing. Look next in `walls.rs`.

use std::path::Path;
use std::time::Duration;

use memchr::memmem;
use redis::{Client, cmd};
use tokio::time::timeout;

use crate::history::{Leak, Recorder};
use crate::machine::Machine;
use crate::workload::Workload;
use crate::workload::words::{BEGINNING, SECRETS};

/// Looks everywhere.
pub async fn scan(machine: &Machine, workload: &Workload, recorder: &Recorder) {
    let mut found = Vec::new();
    if workload.heard_on_bus() == 0 {
        found.push(("the bus".to_owned(), "the spy heard nothing, so nothing was checked".to_owned()));
    }
    match keys(machine.redis_port()).await {
        Some(keys) if keys.is_empty() => {}
        Some(keys) => found.push(("keys of Redis".to_owned(), keys.join(" "))),
        None => found.push(("keys of Redis".to_owned(), "could not be asked for".to_owned())),
    }
    let logs = machine.node_logs();
    if logs.is_empty() {
        found.push(("logs".to_owned(), "there are none, so nothing was checked".to_owned()));
    }
    for path in logs {
        found.extend(in_file(&path));
    }
    for admin in machine.admins() {
        let place = format!("metrics of {}", admin.http);
        match workload.stage().web.text(&admin, "/metrics").await {
            Ok(text) if text.is_empty() => found.push((place, "are empty".to_owned())),
            Ok(text) => found.extend(in_bytes(text.as_bytes()).map(|what| (place, what))),
            Err(_) => found.push((place, "could not be read".to_owned())),
        }
    }
    let leaks = found.into_iter().map(|(place, what)| Leak { place, what });
    recorder.with(|history| history.leaks.extend(leaks));
}

async fn keys(port: u16) -> Option<Vec<String>> {
    let ask = async {
        let client = Client::open(format!("redis://127.0.0.1:{port}/")).ok()?;
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        cmd("KEYS").arg("*").query_async(&mut connection).await.ok()
    };
    timeout(Duration::from_secs(5), ask).await.ok().flatten()
}

fn in_file(path: &Path) -> Option<(String, String)> {
    let place = format!("the log {}", path.display());
    match std::fs::read(path) {
        Ok(bytes) => in_bytes(&bytes).map(|what| (place, what)),
        Err(error) => Some((place, format!("could not be read: {error}"))),
    }
}

/// The first thing in some bytes that must not be there, with what is around it.
fn in_bytes(bytes: &[u8]) -> Option<String> {
    let words = std::iter::once(BEGINNING).chain(SECRETS);
    let at = words.filter_map(|word| memmem::find(bytes, word.as_bytes())).min()?;
    let around = &bytes[at.saturating_sub(120)..(at + 60).min(bytes.len())];
    Some(String::from_utf8_lossy(around).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_secrets_are_found_and_nothing_else() {
        assert_eq!(in_bytes(b"node ready in 12 ms"), None);
        assert!(in_bytes(b"said zqcanary-t0-12 loudly").unwrap().contains("said zqcanary-t0"));
        assert!(in_bytes(b"token parlour_sk_x").is_some());
        assert!(in_bytes(b"Bearer eyJhbGciOi").is_some());
    }
}

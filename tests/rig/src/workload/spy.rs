//! Somebody on the bus who hears every channel of Redis through the whole run, and looks for what is said where it must not be.
//!
//! Reconnects as long as the run goes on: Redis is killed, too. Look next in `words.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use redis::{Client, Msg};
use tokio::time::{sleep, timeout};

use crate::history::{Leak, Recorder, Tenant};
use crate::workload::words::{SECRETS, canaries};

/// Where the organization is in what nodes tell each other (`src/bus/envelope.rs`).
const ORGANIZATION: std::ops::Range<usize> = 18..34;

/// Listens for ever; counts what was heard.
pub async fn listen(port: u16, recorder: Recorder, heard: Arc<AtomicU64>) {
    loop {
        // An error means that Redis is away right now, which is part of the run.
        let _ = listen_once(port, &recorder, &heard).await;
        sleep(Duration::from_millis(100)).await;
    }
}

async fn listen_once(port: u16, recorder: &Recorder, heard: &AtomicU64) -> redis::RedisResult<()> {
    let client = Client::open(format!("redis://127.0.0.1:{port}/"))?;
    let Ok(pubsub) = timeout(Duration::from_secs(2), client.get_async_pubsub()).await else { return Ok(()) };
    let mut pubsub = pubsub?;
    pubsub.psubscribe("*").await?;
    let mut messages = pubsub.on_message();
    while let Some(message) = messages.next().await {
        heard.fetch_add(1, Ordering::Relaxed);
        judge(recorder, &message);
    }
    Ok(())
}

fn judge(recorder: &Recorder, message: &Msg) {
    let (channel, bytes) = (message.get_channel_name(), message.get_payload_bytes());
    let owner = recorder.with(|history| owner(history.cast.tenants.iter().map(|info| info.organization.0), channel));
    if let Err(what) = owner.and_then(|owner| inspect(owner, bytes)) {
        let place = format!("the channel {channel}");
        recorder.with(|history| history.leaks.push(Leak { place, what }));
    }
}

/// Whose the channel is, with their id; none for the one of all nodes.
fn owner(
    mut organizations: impl Iterator<Item = uuid::Uuid>,
    channel: &str,
) -> Result<Option<(Tenant, uuid::Uuid)>, String> {
    if channel == "parlour:nodes" {
        return Ok(None);
    }
    let named = channel.strip_prefix("org:").and_then(|rest| rest.split(':').next()).and_then(|id| id.parse().ok());
    let Some(named) = named else { return Err("it names nobody".to_owned()) };
    let number = organizations.position(|organization| organization == named).and_then(|at| u8::try_from(at).ok());
    number.map(|number| Some((Tenant(number), named))).ok_or_else(|| "it names nobody we know".to_owned())
}

fn inspect(owner: Option<(Tenant, uuid::Uuid)>, bytes: &[u8]) -> Result<(), String> {
    let tenant = owner.map(|(tenant, _)| tenant);
    if let Some(found) = canaries(bytes).find(|found| tenant.is_none() || found.tenant != tenant) {
        return Err(format!("{found:?}"));
    }
    if let Some((_, organization)) = owner
        && bytes.get(ORGANIZATION) != Some(organization.as_bytes())
    {
        return Err("its bytes are another organization's".to_owned());
    }
    match SECRETS.iter().find(|secret| memchr::memmem::find(bytes, secret.as_bytes()).is_some()) {
        Some(secret) => Err(format!("a secret: {secret}…")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::words::canary;
    use uuid::Uuid;

    #[test]
    fn a_channel_is_its_organizations_or_nobodys() {
        let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
        let of = |channel: &str| owner([first, second].into_iter(), channel);
        assert_eq!(of("parlour:nodes"), Ok(None));
        assert_eq!(of(&format!("org:{second}:all")), Ok(Some((Tenant(1), second))));
        assert!(of(&format!("conversation:{first}")).is_err(), "not prefixed");
        assert!(of(&format!("org:{}:all", Uuid::nil())).is_err(), "a stranger's");
    }

    #[test]
    fn what_is_said_on_a_channel_is_its_owners() {
        let organization = Uuid::now_v7();
        let owner = Some((Tenant(1), organization));
        let say = |word: String| {
            let mut bytes = vec![0; ORGANIZATION.start];
            bytes.extend_from_slice(organization.as_bytes());
            bytes.extend_from_slice(word.as_bytes());
            bytes
        };
        assert_eq!(inspect(owner, &say(canary(3, Tenant(1), true))), Ok(()));
        assert!(inspect(owner, &say(canary(3, Tenant(2), false))).is_err(), "another tenant's word");
        assert!(inspect(None, &say(canary(3, Tenant(1), false))).is_err(), "any word between nodes");
        assert!(inspect(owner, &say("parlour_sk_abc".into())).is_err(), "a secret");
        assert!(inspect(Some((Tenant(1), Uuid::nil())), &say(String::new())).is_err(), "another organization's bytes");
    }
}

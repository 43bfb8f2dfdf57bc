//! Hears the channels that the node is interested in, and notices when it does not.
//!
//! A session connects, asks for everything wanted, and ends at the first trouble with any server; the next one begins anew and,
//! once everything is confirmed, raises doubt: what was said in between is in the log. Silence is not trusted: a server that
//! does not answer for [`SILENCE_MAX`] counts as gone. The reading itself is in [`crate::bus::redis::listener`].

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{select_all, try_join_all};
use redis::{Pipeline, RedisResult, cmd};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::bus::Channel;
use crate::bus::interest::{Interests, LINGER};
use crate::bus::redis::breaker::Backoff;
use crate::bus::redis::listener::{Intake, Listener, Loss};
use crate::bus::redis::shards::{Seeds, Shard, Shards};
use crate::bus::redis::vitals::{Half, Vitals, reason};

/// How often a server is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(2);
/// A server from which nothing arrives for so long is gone.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Channels asked for in one go.
const CHUNK: usize = 1_000;
/// The first wait between sessions, and the longest.
const AGAIN_FIRST: Duration = Duration::from_millis(50);
const AGAIN_LONGEST: Duration = Duration::from_secs(1);
/// A session that lasted so long was a good one: the next may begin soon.
const STEADY: Duration = Duration::from_secs(5);

/// What hears the channels.
#[derive(Debug)]
pub struct Subscriber {
    /// Where Redis is.
    pub seeds: Arc<Seeds>,
    /// What is wanted.
    pub interests: Arc<Interests>,
    /// Where it goes.
    pub intake: Arc<Intake>,
    /// Where to report.
    pub vitals: Arc<Vitals>,
    /// Counts sessions after the first.
    pub reconnects: metrics::Counter,
}

/// What to do with channels.
#[derive(Clone, Copy)]
enum Wish {
    Hear,
    LetGo,
}

impl Subscriber {
    /// Hears until the node stops.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(AGAIN_FIRST, AGAIN_LONGEST);
        stop.run_until_cancelled(async {
            loop {
                let began = Instant::now();
                let loss = self.hear().await;
                self.interests.lose_all();
                self.vitals.down(Half::Hearing, loss.as_str());
                if began.elapsed() >= STEADY {
                    backoff.reset();
                }
                sleep(backoff.wait()).await;
                self.reconnects.increment(1);
            }
        })
        .await;
        self.interests.lose_all();
    }

    /// One session: why it ended.
    async fn hear(&self) -> Loss {
        let (losses, mut lost) = mpsc::channel(1);
        let listen = || Listener::new(Arc::clone(&self.intake), losses.clone());
        let shards = match self.seeds.connect(listen).await {
            Ok(shards) => shards,
            Err(error) => return Loss::Refused(reason(&error)),
        };
        self.interests.expect_all();
        let silence = select_all(shards.all().iter().map(|shard| Box::pin(silence(shard))));
        tokio::select! {
            biased;
            Some(loss) = lost.recv() => loss,
            (loss, ..) = silence => loss,
            loss = self.carry_out(&shards) => loss,
        }
    }

    /// Does what the node's interests ask for; why it could not.
    async fn carry_out(&self, shards: &Shards<Listener>) -> Loss {
        let mut is_first = true;
        loop {
            let changes = self.interests.take_changes(Instant::now());
            for (wish, channels) in [(Wish::Hear, &changes.subscribe), (Wish::LetGo, &changes.unsubscribe)] {
                for chunk in channels.chunks(CHUNK) {
                    if let Err(error) = self.ask(shards, wish, chunk).await {
                        return Loss::Refused(reason(&error));
                    }
                }
            }
            if std::mem::take(&mut is_first) {
                self.vitals.up(Half::Hearing);
                self.intake.doubt();
            }
            let again = changes.again_at.unwrap_or_else(|| Instant::now() + LINGER);
            // Early is no harm: then there is nothing to do.
            let _ = timeout_at(again, self.interests.changed()).await;
        }
    }

    /// One command per channel, because those of a cluster may live in different slots, all in one go.
    async fn ask(&self, shards: &Shards<Listener>, wish: Wish, channels: &[Channel]) -> RedisResult<()> {
        let words = self.seeds.words();
        let mut pipelines: Vec<Pipeline> = vec![Pipeline::new(); shards.all().len()];
        for channel in channels {
            let name = channel.to_string();
            let word = match wish {
                Wish::Hear => words.subscribe,
                Wish::LetGo => words.unsubscribe,
            };
            pipelines[shards.index_of(&name)].cmd(word).arg(name);
        }
        let filled = shards.all().iter().zip(&pipelines).filter(|(_, pipeline)| !pipeline.is_empty());
        let asking = filled.map(async |(shard, pipeline)| {
            if matches!(wish, Wish::LetGo) {
                shard.listener.expect_farewells(pipeline.len());
            }
            pipeline.exec_async(&mut shard.connection.clone()).await
        });
        try_join_all(asking).await?;
        if matches!(wish, Wish::Hear) {
            let mut is_doubtful = false;
            for channel in channels {
                is_doubtful |= self.interests.confirm(*channel);
            }
            if is_doubtful {
                self.intake.doubt();
            }
        }
        Ok(())
    }
}

/// Asks a server again and again whether it is there; ends when it is not.
async fn silence(shard: &Shard<Listener>) -> Loss {
    loop {
        sleep(PING_EVERY).await;
        shard.listener.stirred();
        let mut connection = shard.connection.clone();
        let ping = cmd("PING");
        match timeout(SILENCE_MAX - PING_EVERY, ping.exec_async(&mut connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Loss::Refused(reason(&error)),
            // What is busy telling us things is there.
            Err(_) if shard.listener.stirred() => {}
            Err(_) => return Loss::Silent,
        }
    }
}

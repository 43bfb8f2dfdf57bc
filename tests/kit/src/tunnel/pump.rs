//! One connection through a tunnel: two ways, each reading, looking at its orders, and writing.
//!
//! Both ways are one task, so that they end together. It must never hold more than one buffer of each: whoever is stalled or
//! slowed down feels it as on a real network. Look at the orders in `mod.rs` above.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Mode, Orders, Way};

const BUFFER: usize = 16 * 1024;
/// So many slices are written between two looks at the orders, and then a moment passes: this is about small reads, not load.
const SLICES: usize = 64;
const SLICE_PAUSE: Duration = Duration::from_millis(1);
/// A rate is kept in steps of this.
const RATE_STEP: Duration = Duration::from_millis(50);
/// What the channels of conversations have in their names, and what is in no channel that anybody hears.
const HEARD: &[u8] = b":conversation:";
const UNHEARD: u8 = b';';

/// The connection ends for both.
struct Cut;

/// Carries a connection, opened after so many cuts, until it ends.
pub(super) async fn carry<S>(mut client: TcpStream, server: S, told: watch::Receiver<Orders>, born: u64)
where
    S: AsyncRead + AsyncWrite,
{
    if client.set_nodelay(true).is_err() {
        return;
    }
    let lost = AtomicBool::new(false);
    let is_cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = split(server);
        let out = Pump { way: Way::Out, told: told.clone(), born, lost: &lost, liar: Liar::default() };
        let back = Pump { way: Way::Back, told: told.clone(), born, lost: &lost, liar: Liar::default() };
        let carried = async { tokio::try_join!(out.run(from_client, to_server), back.run(from_server, to_client)) };
        tokio::select! {
            end = carried => end.is_err(),
            () = must_end(told, born, &lost) => true,
        }
    };
    if is_cut {
        // Closed like this it says RST. Where it is closed already, that makes no difference.
        let _ = client.set_zero_linger();
    }
}

/// Until the connection must be reset: it was cut, or lost something and nothing is lost any more.
async fn must_end(mut told: watch::Receiver<Orders>, born: u64, lost: &AtomicBool) {
    let ended = told.wait_for(|orders| orders.cut_to > born || (lost.load(Ordering::Relaxed) && !orders.swallow()));
    if ended.await.is_err() {
        // The tunnel was dropped; what is open may stay so.
        std::future::pending::<()>().await;
    }
}

struct Pump<'a> {
    way: Way,
    told: watch::Receiver<Orders>,
    born: u64,
    lost: &'a AtomicBool,
    liar: Liar,
}

impl Pump<'_> {
    async fn run(mut self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> Result<(), Cut> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = from.read(&mut buffer).await;
            self.stalled().await;
            match read {
                Ok(length @ 1..) => self.pass_on(&mut buffer[..length], &mut to).await?,
                _ if self.mode() == Mode::Swallow => {
                    // The other side must not hear of the end either; when this is over it is reset.
                    self.lost.store(true, Ordering::Relaxed);
                    std::future::pending::<()>().await;
                }
                Ok(_) => return to.shutdown().await.map_err(|_| Cut),
                Err(_) => return Err(Cut),
            }
        }
    }

    async fn pass_on(&mut self, bytes: &mut [u8], to: &mut (impl AsyncWrite + Unpin)) -> Result<(), Cut> {
        self.liar.look(bytes, self.way == Way::Out && self.mode() == Mode::Lie);
        let mut rest = &*bytes;
        while !rest.is_empty() {
            self.stalled().await;
            if self.told.borrow().cuts > self.born {
                let half = &rest[..rest.len() / 2];
                write(to, half).await?;
                return Err(Cut);
            }
            let written = match self.mode() {
                Mode::Swallow => {
                    self.lost.store(true, Ordering::Relaxed);
                    rest.len()
                }
                Mode::Slice => slices(rest, to).await?,
                Mode::Rate(per_second) => step(rest, per_second, to).await?,
                Mode::Pass | Mode::Lie | Mode::Stall => {
                    write(to, rest).await?;
                    rest.len()
                }
            };
            rest = &rest[written..];
        }
        Ok(())
    }

    fn mode(&self) -> Mode {
        self.told.borrow().mode(self.way)
    }

    async fn stalled(&mut self) {
        let way = self.way;
        // Without a tunnel nobody stalls.
        let _ = self.told.wait_for(|orders| orders.mode(way) != Mode::Stall).await;
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Cut> {
    to.write_all(bytes).await.map_err(|_| Cut)
}

/// Writes a beginning in tiny slices; how long it was.
async fn slices(bytes: &[u8], to: &mut (impl AsyncWrite + Unpin)) -> Result<usize, Cut> {
    let mut written = 0;
    for slice in 0..SLICES {
        let end = bytes.len().min(written + 1 + slice % 3);
        write(to, &bytes[written..end]).await?;
        written = end;
    }
    tokio::time::sleep(SLICE_PAUSE).await;
    Ok(written)
}

/// Writes what a rate allows in one step; how long it was.
async fn step(bytes: &[u8], per_second: u32, to: &mut (impl AsyncWrite + Unpin)) -> Result<usize, Cut> {
    let steps = 1_000 / u32::try_from(RATE_STEP.as_millis()).unwrap_or(1_000).max(1);
    let allowed = usize::try_from(per_second / steps).unwrap_or(usize::MAX).clamp(1, bytes.len());
    write(to, &bytes[..allowed]).await?;
    tokio::time::sleep(RATE_STEP).await;
    Ok(allowed)
}

/// Changes the names of channels in what a node publishes, byte by byte, because a name may come in two parts.
#[derive(Default)]
struct Liar {
    publishes: Progress,
    /// The word comes right before each name. A connection that hears must not be lied to: it would miss things by its own
    /// fault.
    is_publisher: bool,
    name: Progress,
}

#[derive(Default)]
struct Progress(usize);

impl Progress {
    /// Whether this byte completes the word.
    fn completes(&mut self, byte: u8, word: &[u8]) -> bool {
        // Neither word repeats its beginning inside but for the colon at both ends.
        self.0 = if byte == word[self.0] { self.0 + 1 } else { usize::from(byte == word[0]) };
        let is_complete = self.0 == word.len();
        if is_complete {
            self.0 = usize::from(byte == word[0]);
        }
        is_complete
    }
}

impl Liar {
    fn look(&mut self, bytes: &mut [u8], lies: bool) {
        if !lies {
            *self = Self::default();
            return;
        }
        for byte in bytes {
            self.is_publisher |= self.publishes.completes(*byte, b"PUBLISH");
            if self.name.completes(*byte, HEARD) && self.is_publisher {
                *byte = UNHEARD;
            }
        }
    }
}

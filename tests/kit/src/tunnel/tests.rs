//! Tests of the tunnel: each mode does what it says, and none lets a connection live that lost bytes.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Mode, Tunnel, Way};

const MOMENT: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);

/// Both ends of a connection through a tunnel.
struct Pair {
    tunnel: Tunnel,
    listener: TcpListener,
    near: TcpStream,
    far: TcpStream,
}

impl Pair {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tunnel = Tunnel::to(listener.local_addr().unwrap().port()).await;
        let (near, far) = connect(&tunnel, &listener).await;
        Self { tunnel, listener, near, far }
    }

    async fn says(&mut self, text: &[u8]) {
        self.near.write_all(text).await.unwrap();
    }

    async fn hears(&mut self, text: &[u8]) {
        let mut heard = vec![0; text.len()];
        timeout(PATIENCE, self.far.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(heard, text);
    }

    async fn hears_nothing(&mut self) {
        assert!(timeout(MOMENT, self.far.read_u8()).await.is_err());
    }
}

async fn connect(tunnel: &Tunnel, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let near = TcpStream::connect(("127.0.0.1", tunnel.port())).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

async fn is_reset(stream: &mut TcpStream) {
    let end = timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn bytes_and_ends_pass_both_ways() {
    let mut pair = Pair::open().await;
    pair.says(b"there").await;
    pair.hears(b"there").await;
    pair.near.shutdown().await.unwrap();
    assert_eq!(pair.far.read_u8().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    pair.far.write_all(b"back").await.unwrap();
    drop(pair.far);
    let mut back = String::new();
    pair.near.read_to_string(&mut back).await.unwrap();
    assert_eq!(back, "back");
}

#[tokio::test]
async fn what_lost_bytes_is_reset_when_nothing_is_lost_any_more_and_the_rest_lives() {
    let mut pair = Pair::open().await;
    let (mut other, mut other_far) = connect(&pair.tunnel, &pair.listener).await;
    pair.tunnel.set(Way::Out, Mode::Swallow);
    pair.says(b"lost").await;
    pair.hears_nothing().await;
    pair.far.write_all(b"k").await.unwrap();
    assert_eq!(pair.near.read_u8().await.unwrap(), b'k', "the other way is open");
    pair.tunnel.pass();
    is_reset(&mut pair.near).await;
    other.write_all(b"k").await.unwrap();
    assert_eq!(other_far.read_u8().await.unwrap(), b'k', "it lost nothing");
}

#[tokio::test]
async fn an_end_is_swallowed_too() {
    let mut pair = Pair::open().await;
    pair.tunnel.swallow();
    drop(pair.near);
    assert!(timeout(MOMENT, pair.far.read_u8()).await.is_err());
    pair.tunnel.pass();
    assert!(timeout(PATIENCE, pair.far.read_u8()).await.unwrap().is_err());
}

#[tokio::test]
async fn what_was_stalled_comes_later() {
    let mut pair = Pair::open().await;
    pair.tunnel.set_both(Mode::Stall);
    pair.says(b"late").await;
    pair.hears_nothing().await;
    pair.tunnel.pass();
    pair.hears(b"late").await;
}

#[tokio::test]
async fn a_cut_comes_in_the_middle_of_what_is_carried_and_spares_who_comes_after() {
    let mut pair = Pair::open().await;
    let (mut quiet, _far) = connect(&pair.tunnel, &pair.listener).await;
    let Pair { tunnel, listener, near, far } = &mut pair;
    let writes = async {
        tokio::task::yield_now().await;
        near.write_all(b"12345678").await.unwrap();
        let mut half = [0; 4];
        far.read_exact(&mut half).await.unwrap();
        assert_eq!(&half, b"1234");
        is_reset(near).await;
        connect(tunnel, listener).await
    };
    let ((), (mut later, mut later_far)) = tokio::join!(tunnel.reset(), writes);
    is_reset(&mut quiet).await;
    later.write_all(b"k").await.unwrap();
    assert_eq!(later_far.read_u8().await.unwrap(), b'k');
}

#[tokio::test]
async fn slices_and_rates_lose_nothing_and_a_rate_is_kept() {
    let mut pair = Pair::open().await;
    let text = b"0123456789".repeat(300);
    pair.tunnel.set_both(Mode::Slice);
    pair.says(&text).await;
    let first = pair.far.read(&mut [0; 2_000]).await.unwrap();
    assert!(first < 2_000, "{first}");
    pair.hears(&text[first..]).await;
    pair.tunnel.set_both(Mode::Rate(10_000));
    let began = Instant::now();
    pair.says(&text).await;
    pair.hears(&text).await;
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_lie_changes_names_in_what_is_published_even_in_two_parts_and_nothing_else() {
    let mut pair = Pair::open().await;
    pair.says(b"PUBLISH org:1:conversation:2 a").await;
    pair.hears(b"PUBLISH org:1:conversation:2 a").await;
    pair.tunnel.lie();
    pair.says(b"SUBSCRIBE org:1:conversation:2").await;
    pair.hears(b"SUBSCRIBE org:1:conversation:2").await;
    pair.says(b"SPUBLISH org:1:conver").await;
    pair.hears(b"SPUBLISH org:1:conver").await;
    pair.says(b"sation:2 b PUBLISH node c").await;
    pair.hears(b"sation;2 b PUBLISH node c").await;
    pair.tunnel.pass();
    pair.says(b"PUBLISH org:1:conversation:2 d").await;
    pair.hears(b"PUBLISH org:1:conversation:2 d").await;
}

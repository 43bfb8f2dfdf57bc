//! What a Redis, or whoever answers in its place, may send: bytes that are no RESP, nests, maps of a cluster that cannot be. They
//! are refused or understood, and where every slot has a server every channel has one.
//!
//! The parser is the redis crate's. It follows a hundred levels and no more, which takes more than 256 KiB of stack where it is
//! not optimized; so this target has a worker's stack.

use parlour::bus::redis::slots::Slots;
use redis::parse_redis_value;

use crate::run::{MESSAGE, Target, behaviour};

const WORDS: &[&[u8]] = &[
    b"*0\r\n",
    b"*1\r\n",
    b"*3\r\n",
    b"*-1\r\n",
    b"*2147483647\r\n",
    b"%1\r\n",
    b"~1\r\n",
    b">3\r\n",
    b"|1\r\n",
    b"$0\r\n\r\n",
    b"$-1\r\n",
    b"$1\r\n?\r\n",
    b"$2147483647\r\n",
    b":0\r\n",
    b":16383\r\n",
    b":16384\r\n",
    b":-1\r\n",
    b":9223372036854775807\r\n",
    b",1.5\r\n",
    b",inf\r\n",
    b"#t\r\n",
    b"_\r\n",
    b"(1\r\n",
    b"-ERR\r\n",
    b"+OK\r\n",
    b"=8\r\ntxt:abcd\r\n",
    b"\r\n",
    b"$7\r\nmessage\r\n",
    b"$8\r\nsmessage\r\n",
];

#[test]
fn redis_answers() {
    let server = |name: &str, port: u16| format!("*3\r\n${}\r\n{name}\r\n:{port}\r\n$2\r\nid\r\n", name.len());
    let row = |first: u32, last: u32, server: String| format!("*3\r\n:{first}\r\n:{last}\r\n{server}");
    let examples = [
        format!("*2\r\n{}{}", row(0, 8_000, server("a", 1)), row(8_001, 16_383, server("b", 2))),
        format!("*1\r\n{}", row(0, 16_383, server("", 7))),
        format!("*1\r\n{}", row(0, 16_383, "*2\r\n_\r\n:6379\r\n".to_owned())),
        ">3\r\n$7\r\nmessage\r\n$13\r\nparlour:nodes\r\n$3\r\nabc\r\n".to_owned(),
        "*1\r\n*1\r\n*1\r\n:1\r\n".to_owned(),
        "%1\r\n+proto\r\n:3\r\n".to_owned(),
    ];
    let examples = examples.map(String::into_bytes).to_vec();
    Target { name: "redis_answers", examples, dictionary: WORDS, bytes_max: MESSAGE }.run_as_a_worker(check);
}

fn check(bytes: &[u8]) -> u64 {
    let Ok(answer) = parse_redis_value(bytes) else { return 0 };
    let kind = std::mem::discriminant(&answer);
    let slots = Slots::read(answer);
    if let Ok(slots) = &slots {
        assert!(!slots.servers().is_empty());
        assert!(["", "a", "parlour:nodes"].iter().all(|channel| slots.server_of(channel) < slots.servers().len()));
    }
    let verdict = slots.map(|slots| slots.servers().len().min(6)).map_err(|error| format!("{:?}", error.kind()));
    behaviour((kind, verdict, bytes.len().min(1_024) / 64))
}

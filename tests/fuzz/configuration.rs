//! Where Redis is, as an operator may mistype it: refused or understood, and a password in it is never repeated.

use parlour::bus::redis::config::{RedisConfig, Topology};
use secrecy::SecretString;

use crate::run::{HEAD, Target, behaviour};

const WORDS: &[&[u8]] = &[
    b"redis://",
    b"rediss://",
    b"redis+unix://",
    b"unix://",
    b"valkey://",
    b":",
    b"@",
    b"/",
    b"//",
    b"?",
    b"#insecure",
    b"[::1]",
    b"%40",
    b"%",
    b"/0",
    b"/-1",
    b":99999",
    b"?db=2",
    b"?protocol=resp3",
    b",",
    b"\xc3\xa9",
    b"localhost",
];
const PASSWORD: &str = "sesame";

#[test]
fn redis_urls() {
    let examples = [
        "redis://cache",
        "rediss://user:sesame@cache:6380",
        "redis+unix:///run/redis.sock",
        "redis://:sesame@[::1]:6379/2",
        "redis://cache?protocol=resp3",
        "redis+unix:///run/redis.sock?db=1&user=a&pass=sesame",
        "rediss://cache/#insecure",
    ];
    let examples = examples.map(|url| url.as_bytes().to_vec()).to_vec();
    Target { name: "redis_urls", examples, dictionary: WORDS, bytes_max: HEAD }.run(check);
}

fn check(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let read = [Topology::Single, Topology::Cluster].map(|topology| {
        let config = RedisConfig { urls: vec![SecretString::from(&*text)], topology };
        assert!(!format!("{config:?}").contains(PASSWORD));
        config.seeds().map(|seeds| seeds.len()).map_err(|error| {
            assert!(!error.to_string().contains(PASSWORD));
            error.to_string()
        })
    });
    assert!(read[0].is_ok() || read[1].is_err(), "what can be one of many can be one");
    behaviour((read, text.matches(['/', '@', ':', '?', '#']).count().min(12)))
}

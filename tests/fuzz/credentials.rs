//! Credentials that strangers make up: of secrets only what was handed out reads back, in one spelling; of tokens only what was
//! signed counts, and of anything else nobody learns whether it was ever valid.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use parlour::auth::tokens::{Bearer, TokenConfig, TokenRefused, Tokens, key_from_random};
use parlour::domain::secret::{Pepper, Peppers, Secret, SecretKind};
use parlour::http::extract::bearer;
use parlour_protocol::id::{GuestId, OrganizationId, PersonId, ShareId};
use sha2::Sha256;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::run::{HEAD, Target, behaviour};

const PREFIXES: &[&[u8]] = &[
    b"parlour_sh_",
    b"parlour_sk_",
    b"parlour_rt_",
    b"parlour_dk_",
    b"parlour_tk_",
    b"=",
    b"==",
    b"-",
    b"_",
    b"+",
    b"/",
    b" ",
    b"A",
    b"\xc3\xa9",
    b"\0",
];
const TOKEN_PARTS: &[&[u8]] =
    &[b".", b"..", b"=", b"eyJhbGciOiJub25lIn0", b"eyJhbGciOiJIUzI1NiJ9", b"e30", b"A", b"-", b"_", b" ", b"bnVsbA"];

#[test]
fn secrets() {
    let random = |at: usize| std::array::from_fn(|byte| (at * 61 + byte * 7) as u8);
    let made: Vec<Secret> = (0..20).map(|at| Secret::from_random(SecretKind::ALL[at % 5], random(at))).collect();
    let examples = made.iter().map(|secret| secret.expose().as_bytes().to_vec()).collect();
    let pepper = Pepper::new(1, vec![7; 32]).unwrap();
    let peppers = Peppers::new(pepper.clone(), vec![pepper]);
    Target { name: "secrets", examples, dictionary: PREFIXES, bytes_max: HEAD }
        .run(move |bytes| check_secret(bytes, &peppers));
}

fn check_secret(bytes: &[u8], peppers: &Peppers) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let read: Vec<Secret> = SecretKind::ALL.into_iter().filter_map(|kind| Secret::parse(kind, &text)).collect();
    assert!(read.len() <= 1, "a secret is of one kind");
    for secret in &read {
        let body = secret.expose().strip_prefix(secret.kind().prefix()).unwrap();
        let random: Vec<u8> = URL_SAFE_NO_PAD.decode(body).unwrap()[..32].to_vec();
        let again = Secret::from_random(secret.kind(), random.try_into().unwrap());
        assert_eq!(again.expose(), text, "one secret has one spelling");
        assert!(secret.expose().starts_with(secret.hint()) && secret.hint().len() < 20);
        assert!(!format!("{secret:?}").contains(&body[..8]));
        assert_eq!(peppers.candidates(secret).count(), 2);
    }
    let prefix = SecretKind::ALL.iter().position(|kind| text.starts_with(kind.prefix()));
    behaviour((read.len(), prefix, text.len().min(160) / 8, text.is_ascii()))
}

fn config(byte: u8, older: &[u8]) -> TokenConfig {
    TokenConfig {
        issuer: "parlour".to_owned(),
        audience: "parlour".to_owned(),
        signing_key: key_from_random([byte; 32]),
        older_keys: older.iter().map(|byte| key_from_random([*byte; 32])).collect(),
        staff_life: Duration::from_secs(900),
        guest_life: Duration::from_secs(600),
    }
}

#[test]
fn tokens() {
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let old = now - Duration::from_secs(3_600);
    let ours = Tokens::new(&config(1, &[2])).unwrap();
    let (former, foreign) = (Tokens::new(&config(2, &[])).unwrap(), Tokens::new(&config(9, &[])).unwrap());
    let organization = OrganizationId(Uuid::from_u128(1));
    let staff = Bearer::Staff { organization, person: PersonId(Uuid::from_u128(2)), session_version: 3 };
    let guest = Bearer::Guest { organization, share: ShareId(Uuid::from_u128(4)), guest: GuestId(Uuid::from_u128(5)) };
    let mint = |tokens: &Tokens, bearer: &Bearer, at| tokens.mint(bearer, at).unwrap().token;
    let good = [mint(&ours, &staff, now), mint(&ours, &guest, now), mint(&former, &staff, now)];
    let over = [mint(&ours, &staff, old), mint(&former, &guest, old)];
    let bad = [mint(&foreign, &staff, now), mint(&foreign, &guest, old)];
    let issued: [HashSet<String>; 2] = [good.clone().into(), over.clone().into()];
    let mut examples: Vec<String> = good.iter().chain(&over).chain(&bad).cloned().collect();
    examples.extend(forged(&examples));
    let examples = examples.into_iter().map(String::into_bytes).collect();
    Target { name: "tokens", examples, dictionary: TOKEN_PARTS, bytes_max: HEAD }
        .run(move |bytes| check_token(bytes, &ours, &issued, now));
}

/// Parts of good tokens put together anew, without a signature, and signed with what everybody knows.
fn forged(tokens: &[String]) -> Vec<String> {
    let parts: Vec<Vec<&str>> = tokens.iter().map(|token| token.split('.').collect()).collect();
    let plain = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let mut forged = Vec::new();
    for (at, token) in parts.iter().enumerate() {
        let other = &parts[(at + 1) % parts.len()];
        forged.extend([
            format!("{}.{}.{}", token[0], other[1], token[2]),
            format!("{}.{}.{}", other[0], token[1], token[2]),
            format!("{}.{}.{}", token[0], token[1], other[2]),
            format!("{}.{}.", plain(r#"{"alg":"none","typ":"JWT"}"#), token[1]),
            format!("{}.{}", token[0], token[1]),
        ]);
        for (algorithm, key) in [("HS256", token[0]), ("HS256", ""), ("EdDSA", "parlour")] {
            let signed = format!("{}.{}", plain(&format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#)), token[1]);
            let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
            mac.update(signed.as_bytes());
            forged.push(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())));
        }
    }
    forged
}

fn check_token(bytes: &[u8], tokens: &Tokens, [good, over]: &[HashSet<String>; 2], now: OffsetDateTime) -> u64 {
    // As it would come: in a header, where a blank around it is no part of it.
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_bytes(&[b"Bearer ", bytes].concat());
    headers.extend(value.ok().map(|value| (header::AUTHORIZATION, value)));
    let carried = bearer(&headers).map(str::to_owned);
    let text = carried.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned());
    let verdict = tokens.verify(&text, now);
    match &verdict {
        Ok(_) => assert!(good.contains(&text), "nobody issued this"),
        Err(TokenRefused::Expired) => assert!(over.contains(&text), "nobody issued this either"),
        Err(TokenRefused::Invalid) => {
            assert!(!good.contains(&text) && !over.contains(&text), "an issued one is refused")
        }
    }
    let header = text.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    behaviour((
        format!("{verdict:?}"),
        header.map(|json| json.len().min(160) / 8),
        text.matches('.').count().min(6),
        text.len().min(1_024) / 128,
    ))
}

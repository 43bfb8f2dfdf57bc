//! Forged, foreign, stale and broken tokens: each must be refused, whatever its header says.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

fn config(key: u8) -> TokenConfig {
    TokenConfig {
        issuer: "https://parlour.example".into(),
        audience: "parlour".into(),
        signing_key: key_from_random([key; 32]),
        older_keys: vec![],
        staff_life: Duration::from_secs(900),
        guest_life: Duration::from_secs(600),
    }
}

fn tokens() -> Tokens {
    Tokens::new(&config(1)).unwrap()
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW + seconds).unwrap()
}

fn staff() -> Bearer {
    Bearer::Staff { organization: OrganizationId::generate(), person: PersonId::generate(), session_version: 3 }
}

fn guest() -> Bearer {
    Bearer::Guest { organization: OrganizationId::generate(), share: ShareId::generate(), guest: GuestId::generate() }
}

fn claims() -> Value {
    let id = Uuid::now_v7();
    json!({"iss": "https://parlour.example", "aud": "parlour", "typ": "staff", "sub": id, "org": id, "sid": id, "ver": 1,
           "exp": NOW + 900, "nbf": NOW, "iat": NOW})
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with any header and claims, correctly signed with our key.
fn signed(header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &tokens().signing, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

fn verify(token: &str) -> Result<Verified, TokenRefused> {
    tokens().verify(token, at(1))
}

#[test]
fn a_token_names_whom_it_was_made_for() {
    for (bearer, life) in [(staff(), 900), (guest(), 600)] {
        let minted = tokens().mint(&bearer, at(0)).unwrap();
        assert_eq!(minted.expires_in, Duration::from_secs(life));
        let verified = verify(&minted.token).unwrap();
        assert_eq!(verified, Verified { bearer, expires_in: Duration::from_secs(life - 1) });
    }
}

#[test]
fn a_token_ends_after_its_life_and_a_small_leeway() {
    let token = tokens().mint(&guest(), at(0)).unwrap().token;
    for (now, expected) in [
        (-31, Err(TokenRefused::Invalid)),
        (-30, Ok(630)),
        (600, Ok(0)),
        (629, Ok(0)),
        (630, Err(TokenRefused::Expired)),
        (10_000, Err(TokenRefused::Expired)),
    ] {
        let left = tokens().verify(&token, at(now)).map(|verified| verified.expires_in.as_secs());
        assert_eq!(left, expected, "at {now}");
    }
}

#[test]
fn a_short_life_has_a_short_leeway() {
    let tokens = Tokens::new(&TokenConfig { staff_life: Duration::from_secs(20), ..config(1) }).unwrap();
    let token = tokens.mint(&staff(), at(0)).unwrap().token;
    assert!(tokens.verify(&token, at(24)).is_ok());
    assert_eq!(tokens.verify(&token, at(25)), Err(TokenRefused::Expired));
}

#[test]
fn headers_cannot_choose_the_algorithm_or_the_key() {
    let good = json!({"alg": "EdDSA", "typ": "JWT"});
    assert!(verify(&signed(&good, &claims())).is_ok());
    for alg in ["none", "None", "HS256", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA2", "", "eddsa"] {
        assert!(verify(&signed(&json!({"alg": alg}), &claims())).is_err(), "{alg}");
    }
    // A key named or brought along by the header changes nothing: our own key decides.
    for (name, value) in [
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("' or 1=1 --")),
        ("kid", json!("https://evil.example/jwks.json")),
        ("kid", json!("x".repeat(1_000))),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
    ] {
        let header = json!({"alg": "EdDSA", name: value});
        assert!(verify(&signed(&header, &claims())).is_ok(), "{header}");
        let forged = signed(&header, &claims());
        let other = Tokens::new(&config(2)).unwrap();
        assert!(other.verify(&forged, at(1)).is_err(), "{header}");
    }
}

#[test]
fn hmac_with_the_public_key_as_secret_is_refused() {
    let tokens = tokens();
    let public = tokens.verifying[0].key.try_get_as_bytes().unwrap();
    let header = Header::new(Algorithm::HS256);
    let forged = encode(&header, &claims(), &EncodingKey::from_secret(public)).unwrap();
    assert_eq!(tokens.verify(&forged, at(1)), Err(TokenRefused::Invalid));
}

#[test]
fn unsigned_and_badly_signed_tokens_are_refused() {
    let message = format!("{}.{}", part(&json!({"alg": "EdDSA"})), part(&claims()));
    let good = signed(&json!({"alg": "EdDSA"}), &claims());
    let signature = good.rsplit('.').next().unwrap();
    let other_claims = part(&json!({"typ": "staff"}));
    for token in [
        format!("{message}."),
        message.clone(),
        format!("{message}.AAAA"),
        format!("{message}.{}", "A".repeat(signature.len())),
        format!("{message}.{signature}A"),
        format!("{message}.{signature}.{signature}"),
        format!("{}.{other_claims}.{signature}", part(&json!({"alg": "EdDSA"}))),
        format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims())),
        String::new(),
        "..".into(),
        "a.b.c".into(),
        "x".repeat(TOKEN_BYTES_MAX + 1),
    ] {
        assert!(verify(&token).is_err(), "{token}");
    }
    let of_another_key = Tokens::new(&config(2)).unwrap().mint(&staff(), at(0)).unwrap().token;
    assert!(verify(&of_another_key).is_err());
}

#[test]
fn wrong_missing_and_mistyped_claims_are_refused() {
    let header = json!({"alg": "EdDSA"});
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!("")),
        ("iss", json!(["https://parlour.example", "https://evil.example"])),
        ("aud", json!("other")),
        ("aud", json!(["parlour", "other"])),
        ("typ", json!("ticket")),
        ("typ", json!("Staff")),
        ("typ", json!(null)),
        ("sub", json!("not a uuid")),
        ("sub", json!(1)),
        ("org", json!("*")),
        ("sid", json!({})),
        ("ver", json!("1")),
        ("ver", json!(1.5)),
        ("exp", json!(NOW + 901)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(i64::MIN)),
        ("exp", json!(u64::MAX)),
        ("exp", json!("9999999999")),
        ("exp", json!(1e300)),
        ("exp", json!(NOW - 100)),
        ("exp", json!(NOW)),
        ("nbf", json!(NOW + 60)),
        ("nbf", json!(i64::MAX)),
        ("nbf", json!(null)),
        ("iat", json!(NOW + 60)),
        ("iat", json!(i64::MIN)),
        ("iat", json!(NOW - 900)),
    ] {
        let mut changed = claims();
        changed[name] = value.clone();
        assert!(verify(&signed(&header, &changed)).is_err(), "{name} = {value}");
    }
    for name in ["iss", "aud", "typ", "sub", "org", "exp", "nbf", "iat", "sid", "ver"] {
        let mut changed = claims();
        changed.as_object_mut().unwrap().remove(name);
        assert!(verify(&signed(&header, &changed)).is_err(), "without {name}");
    }
    for broken in [json!([]), json!("x"), json!(null), json!(7)] {
        assert!(verify(&signed(&header, &broken)).is_err(), "{broken}");
    }
}

#[test]
fn an_older_key_counts_until_it_is_removed() {
    let old = tokens().mint(&staff(), at(0)).unwrap().token;
    let rotated = TokenConfig { older_keys: vec![config(1).signing_key], ..config(2) };
    assert!(Tokens::new(&rotated).unwrap().verify(&old, at(1)).is_ok());
    assert!(Tokens::new(&config(2)).unwrap().verify(&old, at(1)).is_err());
}

#[test]
fn keys_are_read_as_pem_and_der_and_nothing_else() {
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", config(1).signing_key.expose_secret());
    let from_pem = Tokens::new(&TokenConfig { signing_key: pem.into(), ..config(1) }).unwrap();
    let token = from_pem.mint(&staff(), at(0)).unwrap().token;
    assert!(verify(&token).is_ok());
    for broken in ["", "secret", "-----BEGIN PRIVATE KEY-----", "MC4CAQAwBQYDK2Vw"] {
        assert!(Tokens::new(&TokenConfig { signing_key: broken.to_owned().into(), ..config(1) }).is_err(), "{broken}");
    }
}

#[test]
fn nothing_secret_is_in_debug() {
    let minted = tokens().mint(&staff(), at(0)).unwrap();
    assert!(!format!("{minted:?}").contains(&minted.token));
    assert!(!format!("{:?}", config(1)).contains(config(1).signing_key.expose_secret()));
}

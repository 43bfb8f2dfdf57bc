//! Secrets that open something by being known: links, API keys, refresh tokens, device keys, tickets. `parlour_sh_` + 32 random bytes
//! + 4 bytes of checksum, base64url; what is stored is only the HMAC-SHA-256 of the text under a pepper.
//!
//! A secret never appears in `Debug`, and has no `Display`: whoever hands it out calls [`Secret::expose`] by name. The
//! checksum refuses mistyped and made-up secrets before any look-up; it proves nothing else. Random bytes are passed in.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

const RANDOM_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;

/// What a secret opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// A link to one conversation.
    Share,
    /// An organization's API.
    ApiKey,
    /// The next access token.
    Refresh,
    /// The same seat of a link again.
    Device,
    /// One socket, once.
    Ticket,
}

impl SecretKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Share, Self::ApiKey, Self::Refresh, Self::Device, Self::Ticket];

    /// How the text begins, so that leak scanners and people know it.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Share => "parlour_sh_",
            Self::ApiKey => "parlour_sk_",
            Self::Refresh => "parlour_rt_",
            Self::Device => "parlour_dk_",
            Self::Ticket => "parlour_tk_",
        }
    }
}

/// A well-formed secret of a known kind; whether it opens anything is for the database to say.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    kind: SecretKind,
    text: String,
}

impl Secret {
    /// A new secret from 32 bytes of the operating system's randomness.
    pub fn from_random(kind: SecretKind, random: [u8; RANDOM_BYTES]) -> Self {
        let mut bytes = random.to_vec();
        bytes.extend_from_slice(&checksum(kind, &random));
        Self { kind, text: format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes)) }
    }

    /// Reads a secret of one kind; none when the text cannot be one.
    pub fn parse(kind: SecretKind, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?;
        let (random, check) = bytes.split_at_checked(RANDOM_BYTES)?;
        (check == checksum(kind, random)).then(|| Self { kind, text: text.to_owned() })
    }

    /// The secret of another kind that this one and a value make together, always the same.
    pub fn derive(&self, kind: SecretKind, value: &[u8]) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.text.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(kind.prefix().as_bytes());
        mac.update(value);
        Self::from_random(kind, mac.finalize().into_bytes().into())
    }

    /// What it opens.
    pub fn kind(&self) -> SecretKind {
        self.kind
    }

    /// The text itself, for the one reply that hands it out.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The first characters, to tell keys apart in a list: the prefix and 8 more of 43.
    pub fn hint(&self) -> &str {
        // The text is ASCII and longer than this: `parse` and `from_random` make no other.
        &self.text[..self.kind.prefix().len() + 8]
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({:?}, redacted)", self.kind)
    }
}

fn checksum(kind: SecretKind, random: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = Sha256::new().chain_update(kind.prefix()).chain_update(random).finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// What the database keeps of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// HMAC-SHA-256 of the secret's text.
    pub bytes: [u8; 32],
    /// The pepper it was made under.
    pub pepper_id: i16,
}

/// The server-side keys under which secrets are stored: one in use, and older ones that still open what was stored then.
#[derive(Clone)]
pub struct Peppers {
    current: Pepper,
    older: Vec<Pepper>,
}

/// One such key.
#[derive(Clone)]
pub struct Pepper {
    id: i16,
    key: Vec<u8>,
}

/// Shorter peppers are refused.
pub const PEPPER_BYTES_MIN: usize = 32;

impl Pepper {
    /// A pepper under its number; none when it is shorter than 32 bytes.
    pub fn new(id: i16, key: Vec<u8>) -> Option<Self> {
        (key.len() >= PEPPER_BYTES_MIN).then_some(Self { id, key })
    }

    fn digest(&self, secret: &Secret) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(secret.text.as_bytes());
        Digest { bytes: mac.finalize().into_bytes().into(), pepper_id: self.id }
    }
}

impl Peppers {
    /// The pepper in use, and those that were in use before.
    pub fn new(current: Pepper, older: Vec<Pepper>) -> Self {
        Self { current, older }
    }

    /// What to store of a new secret.
    pub fn digest(&self, secret: &Secret) -> Digest {
        self.current.digest(secret)
    }

    /// What may be stored of a secret that is presented, newest pepper first.
    pub fn candidates(&self, secret: &Secret) -> impl Iterator<Item = Digest> + Send {
        std::iter::once(&self.current)
            .chain(&self.older)
            .map(|pepper| pepper.digest(secret))
            .collect::<Vec<_>>()
            .into_iter()
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pepper({}, redacted)", self.id)
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entry(&self.current).entries(&self.older).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::from_random(SecretKind::Share, [byte; 32])
    }

    fn pepper(id: i16) -> Pepper {
        Pepper::new(id, vec![id.to_le_bytes()[0]; 32]).unwrap()
    }

    #[test]
    fn a_secret_reads_back_and_only_as_its_own_kind() {
        for kind in SecretKind::ALL {
            let made = Secret::from_random(kind, [7; 32]);
            assert!(made.expose().starts_with(kind.prefix()));
            for other in SecretKind::ALL {
                assert_eq!(Secret::parse(other, made.expose()).is_some(), other == kind, "{kind:?} as {other:?}");
            }
            let renamed = made.expose().replace(kind.prefix(), SecretKind::Share.prefix());
            assert_eq!(Secret::parse(SecretKind::Share, &renamed).is_some(), kind == SecretKind::Share);
        }
    }

    #[test]
    fn any_changed_character_is_refused_by_the_checksum() {
        let text = secret(9).expose().to_owned();
        for at in 0..text.len() {
            for replacement in ["A", "b", "-", "=", " ", "é"] {
                let changed = format!("{}{replacement}{}", &text[..at], &text[at + 1..]);
                if changed != text {
                    assert!(Secret::parse(SecretKind::Share, &changed).is_none(), "{at} {replacement}");
                }
            }
        }
        for text in [&text[1..], &text[..text.len() - 1], &format!("{text}A"), "", "parlour_sh_"] {
            assert!(Secret::parse(SecretKind::Share, text).is_none());
        }
        assert!(
            Secret::parse(SecretKind::Share, "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b").is_none(),
            "a UUID is no secret"
        );
    }

    #[test]
    fn nothing_secret_is_in_debug() {
        let made = secret(9);
        assert!(!format!("{made:?}").contains(&made.expose()[11..20]));
        let peppers = Peppers::new(Pepper::new(1, b"0123456789abcdef0123456789abcdef".to_vec()).unwrap(), vec![]);
        assert!(!format!("{peppers:?}").contains("48, 49") && !format!("{peppers:?}").contains("0123"));
    }

    #[test]
    fn an_older_pepper_still_opens_what_was_stored_under_it() {
        let stored = Peppers::new(pepper(1), vec![]).digest(&secret(3));
        let rotated = Peppers::new(pepper(2), vec![pepper(1)]);
        assert_ne!(rotated.digest(&secret(3)), stored);
        assert!(rotated.candidates(&secret(3)).any(|digest| digest == stored));
        assert!(!rotated.candidates(&secret(4)).any(|digest| digest == stored));
        assert!(Pepper::new(1, vec![0; 31]).is_none());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = Secret::parse(SecretKind::ApiKey, &text);
            let _ = Secret::parse(SecretKind::ApiKey, &format!("parlour_sk_{text}"));
        }
    }
}

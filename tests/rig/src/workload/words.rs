//! Words: what is said in a run, and how a word that strayed is recognised.
//!
//! Everything said in a tenant holds that tenant's canary, and what only its staff may read holds its staff canary, too. All
//! canaries begin alike, so that one search finds any of them. Pure: nothing here knows sockets or clocks. Look next in
//! `frame.rs` (what is scanned) and `ledger.rs` (what is said).

use memchr::memmem;

use crate::history::{OpId, Tenant, View};

/// How every canary begins.
pub const BEGINNING: &str = "zqcanary-";

/// How secrets begin, which nobody may ever write down: keys, links, devices, tickets, and tokens signed by us.
pub const SECRETS: [&str; 5] = ["parlour_sk_", "parlour_sh_", "parlour_dk_", "parlour_tk_", "eyJ"];

/// The longest text that is sent as a rule; a flood's are longer.
const LONG_CHARS: usize = 3_000;
/// The length of a text of a flood, in characters: the longest there is.
const FLOOD_CHARS: usize = 8_000;

/// Whose word is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Whose; none where it names no tenant of ours.
    pub tenant: Option<Tenant>,
    /// Whether it is of what only staff may read.
    pub is_for_staff: bool,
}

/// The word in everything said in a tenant, or in what only its staff may read.
pub fn canary(seed: u64, tenant: Tenant, is_for_staff: bool) -> String {
    let kind = if is_for_staff { 's' } else { 't' };
    format!("{BEGINNING}{kind}{}-{:08x}", tenant.0, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32)
}

/// The canaries in some bytes.
pub fn canaries(bytes: &[u8]) -> impl Iterator<Item = Canary> {
    memmem::find_iter(bytes, BEGINNING).map(|at| {
        let rest = &bytes[at + BEGINNING.len()..];
        let digits: &[u8] = rest.get(1..).unwrap_or_default();
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&digits[..length]).ok().and_then(|text| text.parse().ok());
        Canary { tenant: number.map(Tenant), is_for_staff: rest.first() == Some(&b's') }
    })
}

/// What somebody of a tenant who reads a view must not be given, if it is in these bytes.
pub fn stray(bytes: &[u8], tenant: Tenant, view: View) -> Option<Canary> {
    canaries(bytes).find(|found| found.tenant != Some(tenant) || (found.is_for_staff && view == View::Guest))
}

/// How long a text is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Like what people write: short, now and then long, now and then beyond ASCII.
    Usual,
    /// As long as can be.
    Flood,
    /// Fit for the title of a card.
    Title,
}

/// The text of an operation: the same for the same operation, and no other operation's.
pub fn text(canary: &str, op: OpId, length: Length) -> String {
    let mut text = format!("{canary} op {}", op.0);
    match (length, op.0 % 64) {
        (Length::Flood, _) => fill(&mut text, FLOOD_CHARS),
        (Length::Title, _) => {}
        (Length::Usual, 13) => fill(&mut text, LONG_CHARS),
        (Length::Usual, 7 | 29 | 51) => text.push_str(" Île Maurice — 毛里求斯 — 🏝️ d’été\nà deux"),
        (Length::Usual, rest) => {
            text.push_str([" yes", " the terrace room, please", " see you on Tuesday"][rest as usize % 3])
        }
    }
    text
}

/// Another text than this, and within the limits like it.
pub fn otherwise(text: &str) -> String {
    const ENDING: &str = ", or not";
    let mut other: String = text.chars().take(FLOOD_CHARS - ENDING.len()).collect();
    other.push_str(ENDING);
    other
}

fn fill(text: &mut String, chars: usize) {
    let missing = chars.saturating_sub(text.chars().count() + 1);
    text.push(' ');
    text.extend("sand and sea ".chars().cycle().take(missing));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_found_wherever_it_is_and_says_whose_it_is() {
        let (ours, staffs) = (canary(7, Tenant(0), false), canary(7, Tenant(12), true));
        let bytes = format!("{{\"text\":\"{ours} op 3\"}} and {staffs}");
        let found: Vec<_> = canaries(bytes.as_bytes()).collect();
        assert_eq!(
            found,
            [
                Canary { tenant: Some(Tenant(0)), is_for_staff: false },
                Canary { tenant: Some(Tenant(12)), is_for_staff: true },
            ]
        );
        assert_eq!(canaries(BEGINNING.as_bytes()).next().unwrap().tenant, None, "cut short, it is nobody's");
    }

    #[test]
    fn what_is_ones_own_does_not_stray_and_everything_else_does() {
        let of = |tenant, staff| canary(7, Tenant(tenant), staff).into_bytes();
        assert_eq!(stray(&of(1, false), Tenant(1), View::Guest), None);
        assert_eq!(stray(&of(1, true), Tenant(1), View::Staff), None);
        assert!(stray(&of(1, true), Tenant(1), View::Guest).is_some(), "a staff word at a guest");
        assert!(stray(&of(2, false), Tenant(1), View::Staff).is_some(), "another tenant's word");
        assert!(stray(BEGINNING.as_bytes(), Tenant(1), View::Staff).is_some(), "a canary of nobody");
        assert_eq!(stray(b"nothing at all", Tenant(1), View::Guest), None);
    }

    #[test]
    fn a_text_is_its_operations_own_and_within_the_limits() {
        let word = canary(1, Tenant(0), false);
        let mut seen = std::collections::HashSet::new();
        for op in 0..300 {
            let said = text(&word, OpId(op), Length::Usual);
            assert_eq!(said, text(&word, OpId(op), Length::Usual));
            assert!(said.chars().count() <= LONG_CHARS && said.contains(&word));
            assert!(seen.insert(said));
        }
        assert!(seen.iter().any(|said| !said.is_ascii()), "some are beyond ASCII");
        let flood = text(&word, OpId(4), Length::Flood);
        assert_eq!(flood.chars().count(), parlour_protocol::limits::TEXT_CHARS_MAX);
        assert!(!flood.ends_with(char::is_control));
        for said in seen.iter().chain([&flood]) {
            let other = otherwise(said);
            assert!(other != *said && other.contains(&word));
            assert!(other.chars().count() <= parlour_protocol::limits::TEXT_CHARS_MAX);
        }
    }

    #[test]
    fn a_key_names_its_operation_in_its_run_alone() {
        for op in [0, 1, 77, 1_000_000] {
            let key = OpId(op).key(99);
            assert_eq!(OpId::of(key, 99), Some(OpId(op)));
            assert_eq!(OpId::of(key, 100), None);
        }
        assert_eq!(OpId::of(parlour_protocol::id::ClientId::generate(), 99), None, "a key of somebody else");
    }
}

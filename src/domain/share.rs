//! The rules of shares: how long, for how many devices, with which permissions, under which names; and who does not count as
//! a visitor.
//!
//! Pure: the database's clock decides when a link has ended, the secret itself is [`crate::domain::secret`]'s. How long a
//! link may live is bounded here and by the organization's own cap.

use std::time::Duration;

use parlour_protocol::share::{Permission, ShareStatus};
use serde::Serialize;

use crate::domain::text::is_visible;
use crate::domain::violation::Violation;

/// Life of a link when nothing is said.
pub const HOURS_DEFAULT: i64 = 48;
/// The longest life any organization may allow: 30 days.
pub const HOURS_MAX: i64 = 720;
/// Links of one conversation that may be live at once.
pub const LIVE_SHARES_MAX: i64 = 20;
/// Devices a link admits when nothing is said.
pub const SEATS_DEFAULT: i32 = 5;
/// The most devices a link may admit.
pub const SEATS_MAX: i32 = 25;
const LABEL_CHARS_MAX: usize = 120;
const NAME_CHARS_MAX: usize = 60;
/// Marks stacked on one letter beyond this are dropped from names.
const STACKED_MARKS_MAX: usize = 2;

/// What a new share is asked to be, as it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShareRequest {
    /// Life in hours.
    pub expiry_hours: Option<i64>,
    /// Words of [`Permission`].
    pub permissions: Option<Vec<String>>,
    /// For staff only.
    pub label: Option<String>,
    /// Devices it admits.
    pub seats: Option<i64>,
}

/// The checked terms of a new share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Life in hours, 1 … [`HOURS_MAX`].
    pub hours: i32,
    /// Sorted, always with `view`.
    pub permissions: Vec<Permission>,
    /// For staff only.
    pub label: Option<String>,
    /// Devices it admits, 1 … 25.
    pub seats: i32,
}

impl Terms {
    /// Checks a request against the rules and the organization's cap.
    ///
    /// # Errors
    /// The first value that breaks a rule.
    pub fn check(request: ShareRequest, hours_max: i32) -> Result<Self, Violation> {
        let hours_max = i64::from(hours_max).min(HOURS_MAX);
        let hours = request.expiry_hours.unwrap_or(HOURS_DEFAULT.min(hours_max));
        if !(1..=hours_max).contains(&hours) {
            return Err(Violation::invalid("expiry_hours", format!("1 to {hours_max} hours")));
        }
        Ok(Self {
            hours: i32::try_from(hours).map_err(|_| Violation::invalid("expiry_hours", "too many hours"))?,
            permissions: match request.permissions {
                Some(words) => permissions(&words)?,
                None => vec![Permission::View, Permission::Respond],
            },
            label: request.label.map(|text| label(&text)).transpose()?.flatten(),
            seats: request.seats.map_or(Ok(SEATS_DEFAULT), seats)?,
        })
    }
}

/// Reads permissions by their words; `view` is implied.
///
/// # Errors
/// `permissions` when a word is unknown.
pub fn permissions(words: &[String]) -> Result<Vec<Permission>, Violation> {
    let mut permissions = vec![Permission::View];
    for word in words {
        let known = permission(word);
        permissions.push(known.ok_or_else(|| Violation::invalid("permissions", "view, respond or select_options"))?);
    }
    permissions.sort_unstable();
    permissions.dedup();
    Ok(permissions)
}

/// The permission of that word.
pub fn permission(word: &str) -> Option<Permission> {
    [Permission::View, Permission::Respond, Permission::SelectOptions].into_iter().find(|known| known.as_str() == word)
}

/// Checks a number of seats.
///
/// # Errors
/// `seats` when it is none a link can have.
pub fn seats(seats: i64) -> Result<i32, Violation> {
    i32::try_from(seats)
        .ok()
        .filter(|seats| (1..=SEATS_MAX).contains(seats))
        .ok_or_else(|| Violation::invalid("seats", "1 to 25 devices"))
}

/// Cleans a label; none when nothing is left.
fn label(text: &str) -> Result<Option<String>, Violation> {
    let cleaned = clean(text);
    if cleaned.chars().count() > LABEL_CHARS_MAX {
        return Err(Violation::invalid("label", "at most 120 characters"));
    }
    Ok(Some(cleaned).filter(|label| is_readable(label)))
}

/// The name a person on a link gave, cleaned; none when nothing readable is left.
///
/// # Errors
/// `name` when it is longer than 60 characters.
pub fn guest_name(text: &str) -> Result<Option<String>, Violation> {
    let cleaned = clean(text);
    if cleaned.chars().count() > NAME_CHARS_MAX {
        return Err(Violation::invalid("name", "at most 60 characters"));
    }
    Ok(Some(cleaned).filter(|name| is_readable(name)))
}

/// What somebody who gave no name is called on the seat they took.
pub fn nameless_guest(seat: i32) -> String {
    if seat <= 1 { "Guest".to_owned() } else { format!("Guest {seat}") }
}

/// One line without characters that hide, reorder or pile up: names stand beside the names of staff.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut stacked = 0;
    for c in text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_hidden(*c)) {
        stacked = match c {
            _ if is_stacking(c) => stacked + 1,
            // A joiner between two marks does not part them.
            _ if c != ' ' && !is_visible(c) => stacked,
            _ => 0,
        };
        let doubled_space = c == ' ' && (cleaned.is_empty() || cleaned.ends_with(' '));
        if stacked <= STACKED_MARKS_MAX && !doubled_space {
            cleaned.push(c);
        }
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

/// Whether there is anything to read: marks need a letter to stand on.
fn is_readable(cleaned: &str) -> bool {
    cleaned.chars().any(|c| is_visible(c) && !is_stacking(c))
}

/// Control characters, and Unicode's bidirectional controls, invisible spaces and tags (UAX #9, UTS #36).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn is_stacking(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
}

/// Where a share stands.
pub fn status(revoked: bool, expired: bool, used: bool) -> ShareStatus {
    match (revoked, expired, used) {
        (true, _, _) => ShareStatus::Revoked,
        (false, true, _) => ShareStatus::Expired,
        (false, false, false) => ShareStatus::Unopened,
        (false, false, true) => ShareStatus::Live,
    }
}

/// How far ahead an organization lets a link's end be moved.
pub fn longest_life(hours_max: i32) -> Duration {
    let hours = u64::try_from(i64::from(hours_max).clamp(1, HOURS_MAX)).expect("clamped to positive");
    Duration::from_secs(hours * 3_600)
}

/// Whether a request comes from a program that fetches links to show or check them, by what it calls itself: messengers'
/// link previews, mail scanners, crawlers. Such a visit is nobody's.
pub fn is_preview_bot(user_agent: &str) -> bool {
    const MARKS: &[&str] = &[
        "bot",
        "crawler",
        "spider",
        "preview",
        "facebookexternalhit",
        "facebookcatalog",
        "meta-externalagent",
        "skypeuri",
        "embedly",
        "iframely",
        "vkshare",
        "mattermost",
        "google-read-aloud",
        "googleother",
        "google-safety",
        "ms-office",
        "microsoft office",
        "safelinks",
        "proofpoint",
        "mimecast",
        "barracuda",
    ];
    let lower = user_agent.to_ascii_lowercase();
    lower.starts_with("whatsapp/") || MARKS.iter().any(|mark| lower.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(hours: i64, cap: i32) -> Result<i32, Violation> {
        Terms::check(ShareRequest { expiry_hours: Some(hours), ..ShareRequest::default() }, cap)
            .map(|terms| terms.hours)
    }

    #[test]
    fn an_empty_request_is_two_days_view_and_respond_for_five() {
        let terms = Terms::check(ShareRequest::default(), 168).unwrap();
        let permissions = vec![Permission::View, Permission::Respond];
        assert_eq!(terms, Terms { hours: 48, permissions, label: None, seats: 5 });
        assert_eq!(Terms::check(ShareRequest::default(), 24).unwrap().hours, 24, "never beyond the cap");
    }

    #[test]
    fn hours_are_bounded_by_the_organization_and_by_thirty_days() {
        for (asked, cap, fits) in
            [(1, 168, true), (168, 168, true), (169, 168, false), (0, 168, false), (-1, 168, false)]
        {
            assert_eq!(hours(asked, cap).is_ok(), fits, "{asked} of {cap}");
        }
        assert!(hours(720, 720).is_ok() && hours(721, 10_000).is_err() && hours(i64::MAX, 168).is_err());
    }

    #[test]
    fn seats_are_one_to_twenty_five() {
        assert!(seats(1).is_ok() && seats(25).is_ok());
        for broken in [0, 26, -1, i64::MAX] {
            assert!(seats(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn view_is_implied_and_unknown_words_are_refused() {
        let words = |words: &[&str]| permissions(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&[]), Ok(vec![Permission::View]));
        let all = vec![Permission::View, Permission::Respond, Permission::SelectOptions];
        assert_eq!(words(&["select_options", "respond", "respond"]), Ok(all));
        for unknown in ["", "View", "admin", "view "] {
            assert!(words(&[unknown]).is_err(), "{unknown}");
        }
    }

    #[test]
    fn names_are_one_readable_line() {
        for (given, kept) in [
            ("  Amira   Haddad ", "Amira Haddad"),
            ("Ana\u{202e}nimda\n", "Ananimda"),
            ("\u{200b}\u{feff}", ""),
            ("\u{200d}\u{3164} \u{ad}", ""),
            ("\u{301}\u{fe0f}", ""),
            ("Z\u{300}\u{301}\u{200d}\u{302}\u{200d}\u{303}o", "Z\u{300}\u{301}\u{200d}o"),
            ("A\0m\tira", "Am ira"),
            ("Zoë", "Zoë"),
            ("👩\u{200d}👧", "👩\u{200d}👧"),
            ("Z\u{300}\u{301}\u{302}\u{303}o", "Z\u{300}\u{301}o"),
        ] {
            assert_eq!(guest_name(given).unwrap().unwrap_or_default(), kept, "{given:?}");
        }
        assert!(guest_name(&"é".repeat(60)).is_ok() && guest_name(&"é".repeat(61)).is_err());
    }

    #[test]
    fn link_previews_are_nobody_and_phones_are_somebody() {
        for bot in [
            "WhatsApp/2.23.20.0 A",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "TelegramBot (like TwitterBot)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        ] {
            assert!(is_preview_bot(bot), "{bot}");
        }
        for person in [
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1",
            "Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36 WhatsApp",
            "",
        ] {
            assert!(!is_preview_bot(person), "{person}");
        }
    }

    #[test]
    fn a_revoked_share_is_revoked_whatever_else_it_is() {
        assert_eq!(status(true, true, true), ShareStatus::Revoked);
        assert_eq!(status(false, true, false), ShareStatus::Expired);
        assert_eq!(status(false, false, false), ShareStatus::Unopened);
        assert_eq!(status(false, false, true), ShareStatus::Live);
    }
}

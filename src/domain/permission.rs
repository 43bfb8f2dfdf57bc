//! The permission grammar `resource:action[:assigned|own]`, where `write` is create + update and a wide grant covers a narrow one.
//!
//! Unknown words grant nothing. The rules come from the role table in [`crate::domain::role`] and from API keys.

use std::collections::BTreeSet;

/// How far a permission reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Conversations the person is creator, assignee or watcher of, and those nobody is assigned to.
    Assigned,
    /// Every conversation of the organization.
    Organization,
}

/// The permissions of one principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionSet(BTreeSet<String>);

impl PermissionSet {
    /// A set from its written form.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(words: I) -> Self {
        Self(words.into_iter().map(Into::into).collect())
    }

    /// The written form, sorted.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How far the set allows `action` on `resource`; none if not at all.
    pub fn reach(&self, resource: &str, action: &str) -> Option<Reach> {
        self.0.iter().filter_map(|word| reach_of(word, resource, action)).max()
    }
}

/// What permissions can be about.
const RESOURCES: &[&str] = &[
    "api_keys",
    "audit",
    "bookings",
    "conversations",
    "customers",
    "guides",
    "organization",
    "reports",
    "schedules",
    "settings",
    "shares",
    "team",
    "users",
    "webhooks",
];
/// What permissions can allow; `*` is everything.
const ACTIONS: &[&str] = &["*", "assign", "create", "delete", "invite", "read", "redact", "reply", "update", "write"];

/// A permission that grants nothing because nobody knows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown permission `{0}`: write resource:action or resource:action:assigned, such as conversations:read or bookings:*"
)]
pub struct UnknownPermission(String);

/// Checks a permission that somebody is about to be given. Reading stays lenient: an unknown word grants nothing.
///
/// # Errors
/// When it is no permission of this version.
pub fn check(word: &str) -> Result<(), UnknownPermission> {
    let mut parts = word.split(':');
    let resource = parts.next().is_some_and(|resource| RESOURCES.contains(&resource));
    let action = parts.next().is_some_and(|action| ACTIONS.contains(&action));
    let reach = parts.next().is_none_or(|reach| reach == "assigned");
    if resource && action && reach && parts.next().is_none() { Ok(()) } else { Err(UnknownPermission(word.to_owned())) }
}

fn reach_of(word: &str, resource: &str, action: &str) -> Option<Reach> {
    if word == "*" {
        return Some(Reach::Organization);
    }
    let mut parts = word.split(':');
    let covers = parts.next() == Some(resource) && covers_action(parts.next()?, action);
    let reach = match parts.next() {
        None => Some(Reach::Organization),
        Some("assigned") => Some(Reach::Assigned),
        Some(_) => None,
    };
    reach.filter(|_| covers && parts.next().is_none())
}

fn covers_action(granted: &str, asked: &str) -> bool {
    granted == "*" || granted == asked || (granted == "write" && matches!(asked, "create" | "update"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(words: &[&str], resource: &str, action: &str) -> Option<Reach> {
        PermissionSet::new(words.iter().copied()).reach(resource, action)
    }

    #[test]
    fn a_wide_grant_covers_the_narrow_one() {
        assert_eq!(reach(&["*"], "shares", "create"), Some(Reach::Organization));
        assert_eq!(reach(&["shares:*"], "shares", "create"), Some(Reach::Organization));
        assert_eq!(reach(&["shares:*:assigned"], "shares", "create"), Some(Reach::Assigned));
        assert_eq!(reach(&["a:read:assigned", "a:*"], "a", "read"), Some(Reach::Organization));
    }

    #[test]
    fn write_is_create_and_update_but_not_delete() {
        assert!(reach(&["bookings:write"], "bookings", "create").is_some());
        assert!(reach(&["bookings:write"], "bookings", "update").is_some());
        assert_eq!(reach(&["bookings:write"], "bookings", "delete"), None);
        assert_eq!(reach(&["bookings:update"], "bookings", "write"), None);
    }

    #[test]
    fn what_is_given_is_known() {
        let of_roles = crate::domain::role::ROLES.iter().flat_map(|role| {
            role.permissions().words().filter(|word| *word != "*").map(ToOwned::to_owned).collect::<Vec<_>>()
        });
        for word in of_roles {
            assert_eq!(check(&word), Ok(()));
        }
        assert_eq!(check("conversations:redact:assigned"), Ok(()), "a right of its own can be given on its own");
        for word in
            ["", "*", "conversation:read", "conversations", "bookings:reads", "shares:*:own", "shares:*:assigned:x"]
        {
            assert_eq!(check(word), Err(UnknownPermission(word.to_owned())));
        }
    }

    #[test]
    fn unknown_words_grant_nothing() {
        for word in ["", ":", "bookings", "bookings:read:own", "bookings:read:assigned:x", "booking.read", "**"] {
            assert_eq!(reach(&[word], "bookings", "read"), None, "{word}");
        }
    }
}

//! Prints who may do what to `src/domain/policy.golden.txt`, for people who do not read Rust, and fails when the policy says
//! something else. `UPDATE_GOLDEN=1 cargo test --test policy_golden` writes the file anew; the diff is the change of the policy.
//!
//! The table shows what is; the other tests here say what must never be, whatever the table shows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use parlour::domain::permission::PermissionSet;
use parlour::domain::policy::{self, Action, Denied, Facts};
use parlour::domain::principal::{Actor, Organization, Principal};
use parlour::domain::role::{ROLES, Role};
use parlour_protocol::id::{ApiKeyId, ConversationId, GuestId, OrganizationId, PersonId, ShareId};
use parlour_protocol::share::Permission;
use uuid::Uuid;

const OURS: OrganizationId = OrganizationId(Uuid::from_u128(1));
const FOREIGN: OrganizationId = OrganizationId(Uuid::from_u128(2));
const CONVERSATION: ConversationId = ConversationId(Uuid::from_u128(3));
const ELSEWHERE: ConversationId = ConversationId(Uuid::from_u128(4));
const ME: PersonId = PersonId(Uuid::from_u128(5));
const COLLEAGUE: PersonId = PersonId(Uuid::from_u128(6));

const LEGEND: &str = "\
WHO MAY DO WHAT

Printed from the code (src/domain/policy.rs) by tests/policy_golden.rs; never edit it by hand.

  yes      allowed
  no       refused: \"forbidden\"
  hidden   refused as if the conversation did not exist
  frozen   refused because the organization is suspended (read-only)
  -        does not arise: listing and creating concern one's own organization, not a conversation

  read     attach, read the history, mark as read        select   choose on a card
  send     send a message to everyone                    seen     tell what of a card one has looked at
  note     write a note that only staff can see          shares   create, list, change and revoke share links
  edit     change or blank what one wrote oneself        typing   show that one is typing
  redact   blank what others wrote                       create   open a new conversation
  offer    put up a card with options                    list     list conversations (only those one may read)

A member of staff and a conversation of the own organization:
  own        made by this person; a colleague is responsible for it
  assigned   this person is responsible for it
  watched    this person follows it; a colleague is responsible for it
  claimable  nobody is responsible for it
  other      none of these
";

fn facts(organization: OrganizationId) -> Facts {
    Facts {
        organization,
        conversation: CONVERSATION,
        user_id: Some(COLLEAGUE),
        assigned_to: Some(COLLEAGUE),
        watchers: Vec::new(),
        access_version: 1,
    }
}

/// The conversation from the point of view of `ME`.
fn relations() -> [(&'static str, Facts); 5] {
    let other = facts(OURS);
    [
        ("own", Facts { user_id: Some(ME), ..other.clone() }),
        ("assigned", Facts { assigned_to: Some(ME), ..other.clone() }),
        ("watched", Facts { watchers: vec![COLLEAGUE, ME], ..other.clone() }),
        ("claimable", Facts { assigned_to: None, ..other.clone() }),
        ("other", other),
    ]
}

fn principal(actor: Actor, active: bool) -> Arc<Principal> {
    let organization = Organization { id: OURS, name: "Ours".to_owned(), active, version: 1 };
    Arc::new(Principal { organization, name: "Somebody".to_owned(), version: 1, ends_at: None, actor })
}

fn staff(role: Role) -> Actor {
    Actor::Staff { person: ME, role, permissions: role.permissions(), session_version: 1 }
}

fn guest(permissions: &[Permission]) -> Actor {
    let (guest, share) = (GuestId(Uuid::from_u128(7)), ShareId(Uuid::from_u128(8)));
    Actor::Guest { guest, share, conversation: CONVERSATION, permissions: permissions.to_vec() }
}

fn service(scopes: &[&str]) -> Actor {
    let key = ApiKeyId(Uuid::from_u128(9));
    Actor::Service { key, lineage: key, permissions: PermissionSet::new(scopes.iter().copied()) }
}

const LINKS: [(&str, &[Permission]); 5] = [
    ("no permission at all", &[]),
    ("view", &[Permission::View]),
    ("view respond", &[Permission::View, Permission::Respond]),
    ("view select_options", &[Permission::View, Permission::SelectOptions]),
    ("view respond select_options", &[Permission::View, Permission::Respond, Permission::SelectOptions]),
];

const KEYS: [&[&str]; 14] = [
    &[],
    &["conversations:read"],
    &["conversations:write"],
    &["conversations:read", "conversations:write"],
    &["conversations:read", "conversations:reply"],
    &["conversations:read", "conversations:create"],
    &["conversations:read", "bookings:read"],
    &["conversations:read", "bookings:write"],
    &["conversations:read", "shares:create"],
    &["conversations:read", "conversations:redact"],
    &["conversations:*"],
    &["conversations:read:assigned"],
    &["shares:create"],
    &["*"],
];

fn decide(principal: &Arc<Principal>, facts: &Facts, action: Action) -> Option<Result<(), Denied>> {
    let decided = match action {
        Action::Read => policy::authorize::<policy::Read>(principal, facts).map(drop),
        Action::Send => policy::authorize::<policy::Send>(principal, facts).map(drop),
        Action::Note => policy::authorize::<policy::Note>(principal, facts).map(drop),
        Action::Edit => policy::authorize::<policy::Edit>(principal, facts).map(drop),
        Action::Redact => policy::authorize::<policy::Redact>(principal, facts).map(drop),
        Action::Offer => policy::authorize::<policy::Offer>(principal, facts).map(drop),
        Action::Select => policy::authorize::<policy::Select>(principal, facts).map(drop),
        Action::See => policy::authorize::<policy::See>(principal, facts).map(drop),
        Action::ManageShares => policy::authorize::<policy::ManageShares>(principal, facts).map(drop),
        Action::ShowTyping => policy::authorize::<policy::ShowTyping>(principal, facts).map(drop),
        Action::CreateConversation | Action::ListConversations => {
            if facts.organization != principal.organization.id {
                return None;
            }
            policy::authorize_organization(principal, action)
        }
    };
    Some(decided)
}

fn heading(action: Action) -> &'static str {
    match action {
        Action::Read => "read",
        Action::Send => "send",
        Action::Note => "note",
        Action::Edit => "edit",
        Action::Redact => "redact",
        Action::Offer => "offer",
        Action::Select => "select",
        Action::See => "seen",
        Action::ManageShares => "shares",
        Action::ShowTyping => "typing",
        Action::CreateConversation => "create",
        Action::ListConversations => "list",
    }
}

fn cell(decided: Option<Result<(), Denied>>) -> &'static str {
    match decided {
        None => "-",
        Some(Ok(())) => "yes",
        Some(Err(Denied::Forbidden)) => "no",
        Some(Err(Denied::NotFound)) => "hidden",
        Some(Err(Denied::Suspended)) => "frozen",
    }
}

struct Table(String);

impl Table {
    fn section(&mut self, title: &str, who: &str, what: &str) {
        let headings: String = Action::ALL.iter().map(|action| format!("{:<8}", heading(*action))).collect();
        writeln!(self.0, "\n\n{title}\n").unwrap();
        self.line(who, what, &headings);
        self.0.push_str(&"-".repeat(154));
        self.0.push('\n');
    }

    fn row(&mut self, who: &str, what: &str, principal: &Arc<Principal>, facts: &Facts) {
        let cells = Action::ALL.iter().map(|action| cell(decide(principal, facts, *action)));
        let cells: String = cells.map(|cell| format!("{cell:<8}")).collect();
        self.line(who, what, &cells);
    }

    fn line(&mut self, who: &str, what: &str, cells: &str) {
        writeln!(self.0, "{}", format!("{who:<44}{what:<14}{cells}").trim_end()).unwrap();
    }
}

fn print() -> String {
    let mut table = Table(LEGEND.to_owned());
    table.section("STAFF", "role", "conversation");
    for role in ROLES {
        for (relation, facts) in relations() {
            table.row(role.key, relation, &principal(staff(*role), true), &facts);
        }
    }
    table.section(
        "GUESTS on a share link (conversation: of the link, or another one)",
        "the link permits",
        "conversation",
    );
    for (name, permissions) in LINKS {
        let guest = principal(guest(permissions), true);
        table.row(name, "the link's", &guest, &facts(OURS));
        table.row(name, "another", &guest, &Facts { conversation: ELSEWHERE, ..facts(OURS) });
    }
    table.section("SERVICES with an API key", "scopes of the key", "conversation");
    for scopes in KEYS {
        let name = if scopes.is_empty() { "none".to_owned() } else { scopes.join(" ") };
        table.row(&name, "any", &principal(service(scopes), true), &facts(OURS));
    }
    table.section(
        "WHEN THE ORGANIZATION IS SUSPENDED (guests do not get this far: their links have ended by then)",
        "who",
        "conversation",
    );
    for role in ROLES {
        table.row(role.key, "assigned", &principal(staff(*role), false), &relations()[1].1);
    }
    table.row("guest: view respond select_options", "the link's", &principal(guest(LINKS[4].1), false), &facts(OURS));
    table.row("service: *", "any", &principal(service(&["*"]), false), &facts(OURS));
    table.section("A CONVERSATION OF A FOREIGN ORGANIZATION", "who", "conversation");
    for role in ROLES {
        table.row(role.key, "foreign", &principal(staff(*role), true), &facts(FOREIGN));
    }
    table.row("guest: view respond select_options", "foreign", &principal(guest(LINKS[4].1), true), &facts(FOREIGN));
    table.row("service: *", "foreign", &principal(service(&["*"]), true), &facts(FOREIGN));
    table.0
}

#[test]
fn the_printed_policy_is_the_policy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain/policy.golden.txt");
    let fresh = print();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let printed = fs::read_to_string(&path).unwrap_or_default();
    let differs = printed.lines().zip(fresh.lines()).find(|(old, new)| old != new);
    assert!(
        printed == fresh,
        "the policy is not what {} says; first difference: {differs:?}.\n\
         If the change is meant, run this test with UPDATE_GOLDEN=1 and have the diff read.",
        path.display()
    );
}

/// Every actor of the table.
fn everybody() -> Vec<Actor> {
    let links = LINKS.iter().map(|(_, permissions)| guest(permissions));
    let keys = KEYS.iter().map(|scopes| service(scopes));
    ROLES.iter().map(|role| staff(*role)).chain(links).chain(keys).collect()
}

#[test]
fn a_guest_never_writes_notes_offers_cards_or_touches_shares() {
    for (name, permissions) in LINKS {
        let guest = principal(guest(permissions), true);
        for (_, facts) in relations() {
            for action in [Action::Note, Action::Redact, Action::Offer, Action::ManageShares] {
                assert!(decide(&guest, &facts, action).unwrap().is_err(), "{name}: {action:?}");
            }
        }
        for action in [Action::CreateConversation, Action::ListConversations] {
            assert_eq!(policy::authorize_organization(&guest, action), Err(Denied::Forbidden), "{name}: {action:?}");
        }
    }
}

#[test]
fn a_guest_sees_the_conversation_of_the_link_and_no_other() {
    for (name, permissions) in LINKS {
        let guest = principal(guest(permissions), true);
        let other = Facts { conversation: ELSEWHERE, ..facts(OURS) };
        assert_eq!(policy::sees(&guest, &facts(OURS)), permissions.contains(&Permission::View), "{name}");
        for action in Action::ALL.iter().take(10) {
            assert_eq!(decide(&guest, &other, *action), Some(Err(Denied::NotFound)), "{name}: {action:?}");
        }
    }
}

#[test]
fn a_conversation_of_a_foreign_organization_does_not_exist_for_anybody() {
    for actor in everybody() {
        for active in [true, false] {
            let principal = principal(actor.clone(), active);
            for (_, facts) in relations() {
                let foreign = Facts { organization: FOREIGN, ..facts };
                for action in Action::ALL {
                    let decided = decide(&principal, &foreign, *action);
                    assert!(matches!(decided, None | Some(Err(Denied::NotFound))), "{actor:?}: {action:?}");
                }
                assert!(policy::rights(&principal, &foreign).is_empty());
            }
        }
    }
}

#[test]
fn nobody_writes_in_a_suspended_organization() {
    for actor in everybody() {
        let (active, suspended) = (principal(actor.clone(), true), principal(actor.clone(), false));
        for (_, facts) in relations() {
            for action in Action::ALL {
                let (before, after) = (decide(&active, &facts, *action), decide(&suspended, &facts, *action));
                if matches!(action, Action::Read | Action::ListConversations) {
                    assert_eq!(before, after, "{actor:?}: {action:?}");
                } else {
                    assert!(after.unwrap().is_err(), "{actor:?}: {action:?}");
                }
            }
        }
    }
}

#[test]
fn whoever_may_not_read_may_do_nothing_else_in_a_conversation() {
    for actor in everybody() {
        let principal = principal(actor.clone(), true);
        for (relation, facts) in relations().into_iter().filter(|(_, facts)| !policy::sees(&principal, facts)) {
            for action in Action::ALL.iter().take(10) {
                assert_eq!(
                    decide(&principal, &facts, *action),
                    Some(Err(Denied::NotFound)),
                    "{actor:?}, {relation}: {action:?}"
                );
            }
        }
    }
}

#[test]
fn only_guests_choose_and_tell_what_they_see() {
    for actor in everybody().into_iter().filter(|actor| !matches!(actor, Actor::Guest { .. })) {
        let principal = principal(actor.clone(), true);
        for (_, facts) in relations() {
            for action in [Action::Select, Action::See] {
                assert!(decide(&principal, &facts, action).unwrap().is_err(), "{actor:?}: {action:?}");
            }
        }
    }
}

#[test]
fn an_unknown_role_is_no_role() {
    for name in ["", "Owner", "owner ", "admin", "system_admin", "traveler", "dmc_admin,owner", "*"] {
        assert_eq!(Role::find(name), None, "{name:?}");
    }
    assert!(ROLES.iter().all(|role| Role::find(role.key) == Some(*role)));
    assert!(ROLES.windows(2).all(|pair| pair[0].rank > pair[1].rank), "roles are listed by rank");
}

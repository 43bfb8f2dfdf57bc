//! The built-in roles, as data: what each may do and how it ranks. An unknown role is refused, never defaulted.
//!
//! Rights are decided in [`crate::domain::policy`] from these permissions; nothing else may look at a role's name.

use crate::domain::permission::PermissionSet;

/// A role of staff in an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// The name in the database, on the wire and in tokens.
    pub key: &'static str,
    /// Higher ranks manage lower ones.
    pub rank: u8,
    permissions: &'static [&'static str],
}

/// The built-in roles, highest rank first. `system_admin` holds no right inside an organization, and `traveler` is never staff.
pub const ROLES: &[Role] = &[
    Role { key: "owner", rank: 60, permissions: &["*"] },
    Role {
        key: "dmc_admin",
        rank: 50,
        permissions: &[
            "organization:*",
            "users:*",
            "team:*",
            "conversations:*",
            "shares:*",
            "api_keys:*",
            "webhooks:*",
            "audit:read",
            "bookings:*",
            "customers:*",
            "reports:*",
            "settings:*",
        ],
    },
    Role {
        key: "dmc_manager",
        rank: 40,
        permissions: &[
            "conversations:*",
            "shares:*",
            "bookings:*",
            "customers:read",
            "customers:update",
            "schedules:*",
            "guides:assign",
            "reports:read",
            "team:read",
            "team:invite",
        ],
    },
    Role {
        key: "dmc_staff",
        rank: 30,
        permissions: &[
            "conversations:read:assigned",
            "conversations:write:assigned",
            "shares:*:assigned",
            "bookings:read:assigned",
            "bookings:write:assigned",
            "customers:read",
        ],
    },
    Role {
        key: "support",
        rank: 20,
        permissions: &[
            "conversations:read",
            "conversations:reply",
            "bookings:read",
            "bookings:update",
            "customers:read",
            "customers:update",
            "schedules:read",
        ],
    },
    Role { key: "guide", rank: 10, permissions: &["schedules:read:assigned", "bookings:read:assigned"] },
];

impl Role {
    /// The role of that name.
    pub fn find(key: &str) -> Option<Self> {
        ROLES.iter().copied().find(|role| role.key == key)
    }

    /// What the role may do.
    pub fn permissions(self) -> PermissionSet {
        PermissionSet::new(self.permissions.iter().copied())
    }
}

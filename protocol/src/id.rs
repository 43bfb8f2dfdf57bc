//! One type per kind of identifier, so that swapping two is a compile error.
//!
//! All are UUIDs written as lower-case hyphenated strings on every wire. None of them is a secret.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new time-ordered identifier (UUID version 7, RFC 9562 §5.7).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id_type!(
    /// A tenant.
    OrganizationId
);
id_type!(
    /// A durable thread between an organization and a client party.
    ConversationId
);
id_type!(
    /// One immutable item of a conversation's log.
    EntryId
);
id_type!(
    /// An offer with options.
    CardId
);
id_type!(
    /// An expiring link to one conversation.
    ShareId
);
id_type!(
    /// A member of staff, as a person across organizations.
    PersonId
);
id_type!(
    /// A person on a share link: one device's identity on that link.
    GuestId
);
id_type!(
    /// An organization's API key; the author of what a service says.
    ApiKeyId
);
id_type!(
    /// One authenticated socket.
    SessionId
);
id_type!(
    /// The idempotency key a caller chooses for a durable command.
    ClientId
);

//! The wire contract of Parlour: identifiers, entries, commands, replies, pushes, errors, close codes and the two codecs.
//!
//! No IO, no async and nothing of the server lives here, so that a client, the load generator and the server share one
//! definition. `SPEC.md` beside this crate says in words what the types say in code; `vectors/` holds golden examples.
//! Start with [`command`] (what a client may say), [`push`] (what it hears) and [`codec`] (how both become bytes).

pub mod card;
pub mod close;
pub mod codec;
pub mod command;
pub mod documents;
pub mod entry;
pub mod error;
pub mod id;
pub mod limits;
pub mod push;
pub mod reply;
pub mod scan;
#[cfg(feature = "schema")]
pub mod schema;
pub mod share;
pub mod time;

//! The domain: who acts, what they may do, what an entry, a card, a share and a choice are. Pure: no async, no IO, no wall clock.
//!
//! Nothing here may import another floor of the server; `protocol` lends the vocabulary. Start with [`policy`], which decides
//! who may do what, and [`principal`], which says who acts.

pub mod brand;
pub mod draft;
pub mod limits;
pub mod node;
pub mod offer;
pub mod permission;
pub mod policy;
pub mod principal;
pub mod revision;
pub mod role;
pub mod room;
pub mod secret;
pub mod selection;
pub mod share;
pub mod text;
pub mod violation;

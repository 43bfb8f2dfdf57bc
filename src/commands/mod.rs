//! Commands: one function per thing a caller can do. HTTP and socket meet here: authorize, then log or store, then reply.
//!
//! Nothing here knows a frame or a header; every function answers `Result<_, Failure>`.

pub mod failure;

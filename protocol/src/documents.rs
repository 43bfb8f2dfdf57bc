//! The contract's documents as they are committed, for whoever serves or prints them. Text only: nothing here is parsed.
//!
//! All but `asyncapi.yaml`, which is kept by hand, are made from the types (`schema`, feature `schema`); the tests of the
//! workspace fail when one is stale and say how to make it anew.

/// The HTTP interface: OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("../schema/openapi.json");
/// The socket: AsyncAPI 3.0, which refers to [`SOCKET`].
pub const ASYNCAPI: &str = include_str!("../asyncapi.yaml");
/// Every message of the socket: JSON Schema 2020-12.
pub const SOCKET: &str = include_str!("../schema/socket.json");
/// Every error code and close code.
pub const ERRORS: &str = include_str!("../schema/errors.json");

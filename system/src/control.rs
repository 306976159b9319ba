//! The control socket's messages: `cairn status` and its kin speak them to the supervisor.
//!
//! One request a connection: a line of JSON, answered by a line of JSON, both below 1 MiB.
//! The socket is [`SOCKET`]; what a caller may do is decided by its credentials (`SO_PEERCRED`).

/// Path of the control socket on a running system.
pub const SOCKET: &str = "/run/cairn/control";

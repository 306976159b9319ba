//! What the test driver and the agent in the guest say to each other: one JSON document a line.
//!
//! ```text
//! guest -> host   {"hello":{"boot":"<boot id>"}}        each time the agent opens the port
//! host  -> guest  {"id":1,"command":{"script":"ls"},"timeout_ms":5000}
//! guest -> host   {"reply":{"id":1,"end":{"exited":0},"stdout":"…","stderr":""}}
//! ```
//!
//! The port is a virtio console, whose bytes outlive a guest: after a reset the host may see half
//! a line. Both sides therefore ignore lines that they cannot parse, and ids tie replies to
//! requests.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// Name of the virtio port, as QEMU sets it and `/sys/class/virtio-ports/*/name` shows it.
pub const PORT_NAME: &str = "org.cairn.agent.0";

/// Bytes kept of each output of a command; what exceeds it is dropped and `truncated` is set.
pub const OUTPUT_LIMIT: u64 = 1 << 20;

/// A command for the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the host; the reply has the same.
    pub id: u64,
    /// What to run.
    pub command: CommandLine,
    /// Text for its standard input; empty if absent.
    #[serde(default)]
    pub stdin: String,
    /// Milliseconds after which its process group is killed.
    pub timeout_ms: u64,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandLine {
    /// Program and arguments.
    Argv(Vec<String>),
    /// Text for `/bin/sh -c`.
    Script(String),
}

/// What the guest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Message {
    /// The agent is listening.
    Hello {
        /// `/proc/sys/kernel/random/boot_id`: differs after each boot.
        boot: String,
    },
    /// A command has ended.
    Reply(Reply),
}

/// How a command ended, and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's.
    pub id: u64,
    /// How it ended.
    pub end: End,
    /// Standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// Standard error; bytes that are no UTF-8 are replaced.
    pub stderr: String,
    /// An output was longer than [`OUTPUT_LIMIT`].
    #[serde(default)]
    pub truncated: bool,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// Killed by the agent at its timeout.
    TimedOut,
    /// Not started at all; the cause is told.
    NotStarted(String),
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check<T: Serialize>(message: &T, expected: &Expect) {
        expected.assert_eq(&serde_json::to_string(message).unwrap());
    }

    #[test]
    fn the_protocol_stays_as_documented() {
        let request = Request {
            id: 1,
            command: CommandLine::Script("ls".to_owned()),
            stdin: String::new(),
            timeout_ms: 5000,
        };
        check(
            &request,
            &expect![[r#"{"id":1,"command":{"script":"ls"},"stdin":"","timeout_ms":5000}"#]],
        );
        let hello = Message::Hello {
            boot: "b".to_owned(),
        };
        check(&hello, &expect![[r#"{"hello":{"boot":"b"}}"#]]);
        let reply = Message::Reply(Reply {
            id: 1,
            end: End::Exited(0),
            stdout: "a\n".to_owned(),
            stderr: String::new(),
            truncated: false,
        });
        check(
            &reply,
            &expect![[
                r#"{"reply":{"id":1,"end":{"exited":0},"stdout":"a\n","stderr":"","truncated":false}}"#
            ]],
        );
    }

    #[test]
    fn a_request_needs_no_stdin() {
        let request: Request =
            serde_json::from_str(r#"{"id":2,"command":{"argv":["true"]},"timeout_ms":1}"#).unwrap();
        assert_eq!(request.stdin, "");
        assert_eq!(request.command, CommandLine::Argv(vec!["true".to_owned()]));
    }
}

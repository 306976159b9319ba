//! How a process can end, as lists in a description name it.

use serde::{Deserialize, Serialize};

use crate::signal::Signal;

/// One way to end: `75`, or `"SIGKILL"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "an end is a status up to 255 or a signal such as SIGKILL"
)]
pub enum EndStatus {
    /// By itself, with this status.
    Status(u8),
    /// By this signal.
    Signal(Signal),
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: &Expect) {
        let ends = serde_json::from_str::<Vec<EndStatus>>(text);
        expected.assert_eq(&match ends {
            Ok(ends) => format!("{ends:?} {}", serde_json::to_string(&ends).unwrap()),
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn numbers_and_names() {
        check(
            r#"[0,255,"SIGKILL","HUP"]"#,
            &expect![[
                r#"[Status(0), Status(255), Signal(Signal(9)), Signal(Signal(1))] [0,255,"SIGKILL","SIGHUP"]"#
            ]],
        );
        check(
            "[256]",
            &expect!["an end is a status up to 255 or a signal such as SIGKILL at line 1 column 5"],
        );
        check(
            r#"["SIGNOT"]"#,
            &expect![
                "an end is a status up to 255 or a signal such as SIGKILL at line 1 column 10"
            ],
        );
    }
}

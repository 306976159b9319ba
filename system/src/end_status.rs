//! How a process can end, as lists in a description name it.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::signal::Signal;

/// One way to end: `75`, or `"SIGKILL"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EndStatus {
    /// By itself, with this status.
    Status(u8),
    /// By this signal.
    Signal(Signal),
}

const NONE: &str = "an end is a status up to 255 or a signal such as SIGKILL";

impl<'de> Deserialize<'de> for EndStatus {
    /// By hand: serde would copy the value before it looks at it, with much code that PID 1 needs for nothing else.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = EndStatus;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a status or a signal")
            }

            fn visit_u64<E: Error>(self, status: u64) -> Result<EndStatus, E> {
                let status = u8::try_from(status).map_err(|_| E::custom(NONE))?;
                Ok(EndStatus::Status(status))
            }

            fn visit_str<E: Error>(self, signal: &str) -> Result<EndStatus, E> {
                let signal = Signal::try_from(signal.to_owned()).map_err(|_| E::custom(NONE))?;
                Ok(EndStatus::Signal(signal))
            }
        }

        deserializer.deserialize_any(Either)
    }
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
            &expect!["an end is a status up to 255 or a signal such as SIGKILL at line 1 column 4"],
        );
        check(
            r#"["SIGNOT"]"#,
            &expect!["an end is a status up to 255 or a signal such as SIGKILL at line 1 column 9"],
        );
    }
}

//! `/etc/shadow`: `name:password:changed:min:max:warn:inactive:expire:reserved`.

use super::database::{Record, fields};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shadow {
    pub(super) name: String,
    /// A crypt(3) hash; `!` in front or alone locks it.
    pub(super) password: String,
    /// The seven fields of ageing, as they are.
    pub(super) ageing: String,
}

/// No ageing. The day of the last change is 1, not 0 (which asks for a new password at the next
/// login) and not today (which would make two runs of the same activation differ).
const NO_AGEING: &str = "1::::::";

impl Shadow {
    pub(super) fn new(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            ageing: NO_AGEING.to_owned(),
        }
    }
}

impl Record for Shadow {
    fn parse(line: &str) -> Option<Self> {
        let [name, password, ageing @ ..] = fields::<9>(line)?;
        Some(Self {
            name: name.to_owned(),
            password: password.to_owned(),
            ageing: ageing.join(":"),
        })
    }

    fn line(&self) -> String {
        format!("{}:{}:{}", self.name, self.password, self.ageing)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Shadow;
    use crate::accounts::database::Database;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[a-z_][a-z0-9-]{0,8}", password in "[!*$a-zA-Z0-9./]{0,30}",
            ageing in proptest::collection::vec("[0-9]{0,5}", 7),
        ) {
            let line = format!("{name}:{password}:{}\n", ageing.join(":"));
            let database = Database::<Shadow>::parse(&line);
            prop_assert_eq!(&database.records[0].password, &password);
            prop_assert_eq!(database.to_text(), line);
        }
    }
}

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

    /// Sets the first day on which the account is closed, as days since 1970, or none.
    pub(super) fn set_expiry(&mut self, day: Option<u32>) {
        let day = day.map_or_else(String::new, |day| day.to_string());
        let fields: Vec<&str> = self.ageing.split(':').collect();
        let replaced =
            fields.iter().enumerate().map(
                |(index, field)| {
                    if index == EXPIRY { day.as_str() } else { field }
                },
            );
        self.ageing = replaced.collect::<Vec<_>>().join(":");
    }
}

/// Which of the ageing fields that is.
const EXPIRY: usize = 5;

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
    use crate::accounts::database::{Database, Record as _};

    #[test]
    fn an_expiry_is_the_eighth_field() {
        let mut shadow = Shadow::new("a", "!");
        shadow.set_expiry(Some(22_279));
        assert_eq!(shadow.line(), "a:!:1:::::22279:");
        shadow.set_expiry(None);
        assert_eq!(shadow.line(), "a:!:1::::::");
    }

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

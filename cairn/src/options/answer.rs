//! What `cairn options SEARCH` says.

use super::reference::{Reference, ReferenceError};
use super::search::{Found, search};
use super::terminal::{details, listing};

/// Up to so many options are shown in full.
const FEW: usize = 3;

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What was found, for standard output.
    Found(String),
    /// Why there is nothing, and what was probably meant.
    Nothing(String),
}

/// Answers `query`; an empty one is about all options.
///
/// # Errors
/// Never, for a reference that was read.
pub fn answer(reference: &Reference, query: &str, json: bool) -> Result<Answer, ReferenceError> {
    let entries = match search(reference, query) {
        Found::Option(entry) => vec![entry],
        Found::Several(entries) => entries,
        Found::Nothing(near) if near.is_empty() => {
            return Ok(Answer::Nothing(format!("no option has '{query}' in it")));
        }
        Found::Nothing(near) => {
            return Ok(Answer::Nothing(format!(
                "there is no option '{query}'; did you mean {}?",
                near.join(" or ")
            )));
        }
    };
    if json {
        let entries = entries.into_iter().cloned().collect();
        return Ok(Answer::Found(Reference { entries }.to_json()? + "\n"));
    }
    Ok(Answer::Found(if entries.len() <= FEW {
        let parts: Vec<String> = entries.into_iter().map(details).collect();
        parts.join("\n")
    } else {
        listing(&entries)
    }))
}

#[cfg(test)]
mod tests {
    use super::super::reference::tests::sample;
    use super::*;

    #[test]
    fn what_is_not_there() {
        let reference = sample();
        let said = |query| answer(&reference, query, false).unwrap();
        assert_eq!(
            said("services.openssh.enabel"),
            Answer::Nothing(
                "there is no option 'services.openssh.enabel'; did you mean services.openssh.enable?"
                    .to_owned()
            )
        );
        assert_eq!(
            said("quux"),
            Answer::Nothing("no option has 'quux' in it".to_owned())
        );
    }

    #[test]
    fn json_is_the_reference() {
        let reference = sample();
        let Answer::Found(json) = answer(&reference, "", true).unwrap() else {
            panic!("nothing was found");
        };
        assert_eq!(Reference::parse(&json).unwrap(), reference);
    }
}

//! An error as one message.

/// The error and its causes, each once: some errors say their cause themselves.
#[must_use]
pub fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let absent = crate::lock_file::LockFile::read("/dev/null/absent".as_ref());
        let error = absent.context("cannot begin").unwrap_err();
        assert_eq!(
            message(&error),
            "cannot begin: cannot read the lock file '/dev/null/absent': Not a directory (os error 20)"
        );
        let says_it = anyhow!("no room").context("cannot write 'x': no room");
        assert_eq!(message(&says_it), "cannot write 'x': no room");
    }
}

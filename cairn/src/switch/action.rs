//! How far a change goes.

/// What is done with a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Action {
    /// It runs now, and boots from now on.
    Switch,
    /// It boots from now on.
    Boot,
    /// It runs until the machine is restarted.
    Test,
}

impl Action {
    /// Whether the running system changes.
    #[must_use]
    pub fn is_live(self) -> bool {
        self != Self::Boot
    }

    /// Whether it becomes a generation that boots.
    #[must_use]
    pub fn is_kept(self) -> bool {
        self != Self::Test
    }

    /// Its word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Boot => "boot",
            Self::Test => "test",
        }
    }
}

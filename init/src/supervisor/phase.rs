//! Where a service stands, and what is wanted of it.

use cairn_system::Standing;

use super::unit::Ms;

/// Where a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Down.
    Stopped,
    /// Down, with its work done: a oneshot that does not stay up, or one that there was no reason
    /// to start.
    Done,
    /// To be started as soon as its dependencies allow.
    Waiting,
    /// The command of this number that comes before its process is at work.
    Preparing(u8),
    /// Its process is there, but it does not count as up yet.
    Starting,
    /// Its process has left another one behind, which is looked for again at this time.
    Finding(Ms),
    /// Its process is there; whether it is ready is looked at again at this time.
    Proving(Ms),
    /// The command of this number that comes after its start is at work.
    Finishing(u8),
    /// Up; a oneshot without a process.
    Up,
    /// Up; its reload command of this number is at work.
    Reloading(u8),
    /// Up; it reads its configuration again, and says when it is done, but is not waited for beyond
    /// this time. Whether it has said that it has begun.
    Refreshing(bool, Ms),
    /// The command of this number that comes before its end is at work; killed at this time.
    Leaving(u8, Ms),
    /// Asked to stop; killed at this time.
    Stopping(Ms),
    /// Killed; given up at this time.
    Killed(Ms),
    /// Its process has ended; the command of this number that comes after is at work, and is killed
    /// at this time.
    Cleaning(u8, Ms),
    /// Restarted at this time.
    Backoff(Ms),
    /// Down for this reason.
    Failed(String),
}

impl Phase {
    /// Whether others may count on it.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up | Self::Reloading(_) | Self::Refreshing(..))
    }

    /// Whether it is on its way up, with commands or processes of its own.
    pub fn is_on_its_way(&self) -> bool {
        matches!(
            self,
            Self::Preparing(_)
                | Self::Starting
                | Self::Finding(_)
                | Self::Proving(_)
                | Self::Finishing(_)
        )
    }

    /// Whether nothing of it is left.
    pub fn is_down(&self) -> bool {
        matches!(
            self,
            Self::Stopped | Self::Done | Self::Backoff(_) | Self::Failed(_)
        )
    }

    /// Whether it is on its way down.
    pub fn is_ending(&self) -> bool {
        matches!(
            self,
            Self::Leaving(..) | Self::Stopping(_) | Self::Killed(_) | Self::Cleaning(..)
        )
    }
}

/// What is to become of a service whose process has ended, once that is cleaned up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Down, as somebody wanted.
    Requested,
    /// Down, because its work is done.
    Finished,
    /// Down for this reason; started again or not.
    Bad {
        /// Why.
        reason: String,
        /// Whether it is started again.
        restart: bool,
    },
}

/// What somebody wants of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Up.
    Up,
    /// Down.
    Down,
    /// Down, and then up again.
    Again,
}
/// Who wants a service down that others may want up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedBy {
    /// Somebody, by hand.
    Hand,
    /// A switch to another generation, which starts it again.
    Switch,
}

/// What is to be done to a service once its new generation's supervisor is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A start.
    Start,
    /// A restart.
    Restart,
    /// A reload, or if it is not up yet, a restart.
    Reload,
}

/// Where it stands as far as a switch is concerned.
pub fn standing(phase: &Phase, stopped_by: Option<StoppedBy>) -> Standing {
    match (stopped_by, phase) {
        (Some(StoppedBy::Switch), _) => Standing::Held,
        (Some(StoppedBy::Hand), _) => Standing::Stopped,
        (None, Phase::Stopped | Phase::Done) => Standing::Idle,
        (None, Phase::Failed(_)) => Standing::Failed,
        (None, _) => Standing::Up,
    }
}

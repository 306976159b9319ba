//! What a service executes: its process, and the commands around it.

use cairn_system::{Command, Readiness, Reload, Service};

/// One thing to execute for a service. The number is the command's place in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Its process.
    Main,
    /// Before its process.
    PreStart(u8),
    /// Whether its process is ready.
    Proof,
    /// When its process is up.
    PostStart(u8),
    /// Makes it read its configuration again.
    Reload(u8),
    /// Before its process is asked to end.
    PreStop(u8),
    /// After its process has ended.
    PostStop(u8),
}

impl Job {
    /// Whether it runs beside the main process, instead of in its place.
    pub fn is_helper(self) -> bool {
        matches!(
            self,
            Self::Proof | Self::PostStart(_) | Self::Reload(_) | Self::PreStop(_)
        )
    }

    /// Whether it is the first of a start.
    pub fn begins(self, service: &Service) -> bool {
        let first = match Self::PreStart(0) {
            command if command.exists(service) => command,
            _ => Self::Main,
        };
        self == first
    }

    /// The command; none for the process itself, and past the end of the list.
    pub fn command(self, service: &Service) -> Option<&Command> {
        let reload = match &service.reload {
            Some(Reload::Commands(commands)) => commands.as_slice(),
            _ => &[],
        };
        let (commands, number) = match self {
            Self::Main => return None,
            Self::Proof => {
                return match &service.readiness {
                    Some(Readiness::Command(command)) => Some(command),
                    _ => None,
                };
            }
            Self::PreStart(number) => (service.pre_start.as_slice(), number),
            Self::PostStart(number) => (service.post_start.as_slice(), number),
            Self::Reload(number) => (reload, number),
            Self::PreStop(number) => (service.pre_stop.as_slice(), number),
            Self::PostStop(number) => (service.post_stop.as_slice(), number),
        };
        commands.get(usize::from(number))
    }

    /// Whether there is something to execute.
    pub fn exists(self, service: &Service) -> bool {
        self == Self::Main || self.command(service).is_some()
    }

    /// For messages.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Main => "process",
            Self::PreStart(_) => "pre-start command",
            Self::Proof => "readiness command",
            Self::PostStart(_) => "post-start command",
            Self::Reload(_) => "reload command",
            Self::PreStop(_) => "pre-stop command",
            Self::PostStop(_) => "post-stop command",
        }
    }
}

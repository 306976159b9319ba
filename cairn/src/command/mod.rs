//! The command line: one definition gives the parser, the help and the man pages.
//!
//! A module has the verbs of one subject, with what each stands for in the library.

mod agreement;
mod configuration;
mod devices;
mod factory_reset;
mod generation;
mod hardware;
mod install;
mod language;
mod service;
mod tpm2;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use configuration::{Build, Diff, Image, Vm};
pub use devices::Devices;
pub use factory_reset::FactoryReset;
pub use generation::{
    ApplySwitch, Assess, DeleteGenerations, Gc, Generations, NixosVersion, Switch,
};
pub use hardware::GenerateConfig;
pub use install::Install;
pub use language::{Eval, Fmt, Options, Repl};
pub use service::{Blame, Log, Named, Reboot, Status};
pub use tpm2::Tpm2;

/// Builds Cairn systems, and operates the one that runs
#[derive(Debug, Parser)]
#[command(
    name = "cairn",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Command {
    /// Speak to your own supervisor: with status, log, start, stop, restart and reload
    #[arg(long)]
    pub user: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

impl Verb {
    /// Whether a user's supervisor can be asked for it.
    #[must_use]
    pub fn is_for_users(&self) -> bool {
        matches!(
            self,
            Self::Status(_)
                | Self::Log(_)
                | Self::Start(_)
                | Self::Stop(_)
                | Self::Restart(_)
                | Self::Reload(_)
        )
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the state of all services, or of one
    ///
    /// The exit status is 1 if what is shown is not well: a service has failed or keeps ending.
    Status(Status),
    /// Tell what a service waits for, or why it is not up, down to the cause
    Why(Named),
    /// Show what each part of the boot took, and the start of each service
    Blame(Blame),
    /// Show what services have written to their standard output and error
    Log(Log),
    /// Start a service and what it requires; wait until it is up
    Start(Named),
    /// Stop a service, after those that require it; wait until its processes are gone
    Stop(Named),
    /// Stop a service, and let nothing start it until it is enabled or the machine is restarted
    Disable(Named),
    /// Let a disabled service be started again, and start it
    Enable(Named),
    /// Let the processes of a service stand still, as they are
    Freeze(Named),
    /// Let the processes of a service that is frozen go on
    Thaw(Named),
    /// Stop a service and start it again
    Restart(Named),
    /// Make a service read its configuration again
    Reload(Named),
    /// Stop everything and switch the machine off
    Poweroff,
    /// Stop everything and start the machine again
    ///
    /// With --soft and --kexec the generation is the one that --to names, or else the one that boots by
    /// default. One that was started so is never called good: only a boot through the firmware proves
    /// that it can be booted.
    Reboot(Reboot),
    /// Stop everything and leave the machine standing
    Halt,
    /// Ask the next boot to remove what this machine has become: all but the store, /boot, and what is to be kept
    ///
    /// What goes and what stays is shown first, and the host's name has to be typed. Nothing is removed
    /// before the machine is restarted, and until then --cancel takes the request back. The generations that
    /// were booted and that boot next have to have boot.factoryReset.enable; one that has not takes the request
    /// back if it is booted all the same.
    FactoryReset(FactoryReset),
    /// See and operate devices: their names, rights and properties, which rules decide
    ///
    /// Called udevadm, this program does the same.
    #[command(alias = "udevadm")]
    Devices(Devices),
    /// Show what a configuration.nix can set
    ///
    /// Without SEARCH all options are listed; with it those that have all its words in their name
    /// or description. The whole name of an option shows all that is known of it.
    Options(Options),
    /// Evaluate an expression of the Nix language and show its value
    Eval(Eval),
    /// Evaluate expressions that are typed in
    Repl(Repl),
    /// Lay out files of the Nix language as nixfmt does; print the names of those that changed
    Fmt(Fmt),
    /// Build a configuration's system, or other parts of it, and print the store paths
    ///
    /// Packages are pinned in cairn.lock beside the configuration. What the configuration newly
    /// asks for is added to it; nothing else changes.
    Build(Build),
    /// Make an image of a configuration's system
    ///
    /// The image is made in the cache, once for each system; --output copies it.
    Image(Image),
    /// Run a configuration in a virtual machine, without making an image
    ///
    /// The machine has the host's store; what it writes goes to a disk of its own, which is kept.
    /// Its serial console is on the terminal; Ctrl-A X ends it at once.
    Vm(Vm),
    /// Install a system on a disk of this machine
    ///
    /// With --answers FILE a disk is divided and everything done as the file says; the plan is shown
    /// before, and no other disk is written to. With --root DIR the file systems are mounted already, as
    /// for nixos-install. What the running system's store has is copied; the rest is fetched. Whatever
    /// an installation is cut off by, the same command finishes it.
    Install(Box<Install>),
    /// Build a configuration's system, run it, and make it what boots
    ///
    /// Services whose definition has changed are stopped, restarted or reloaded; the others go on. If
    /// something fails, the machine goes back to the system that ran before, and boots it. What
    /// boots from now on is on trial at its next boot: if it does not come up, the machine returns to
    /// the last generation that did.
    Switch(Switch),
    /// Build a configuration's system and make it what boots; the running system stays as it is
    Boot(Switch),
    /// Build a configuration's system and run it until the next boot
    Test(Switch),
    /// Show what `cairn switch` would do, and do nothing of it
    DryRun(Switch),
    /// Go back to the generation before the current one: `cairn switch --rollback`
    ///
    /// One that failed when it was booted is passed over.
    Rollback,
    /// Show the generations of this machine: what they are, and what they are to it
    ///
    /// booted: the machine was started with it. current: it runs. default: it boots if nobody says
    /// otherwise. good: it has booted and was well; last good: it boots when another one fails. on
    /// trial: it has so many boots left to prove itself. failed: it did not come up, and why.
    Generations(Generations),
    /// Remove generations, so that the next garbage collection takes what they alone need
    ///
    /// The one that booted, the one that runs, the one that boots by default, the one on trial and
    /// the last known good one always stay. The boot menu is written without the others before any
    /// of them is removed.
    DeleteGenerations(DeleteGenerations),
    /// Remove everything from the store that nobody needs
    ///
    /// Needed is what roots lead to: generations, links that cairn build makes, what runs and what is
    /// being built, and all that these refer to.
    #[command(alias = "nix-collect-garbage")]
    Gc(Gc),
    /// Look at this machine and write its hardware-configuration.nix, and a first configuration.nix
    ///
    /// The file systems are those that are mounted below --root, and the swap spaces those in use.
    /// hardware-configuration.nix is written anew each time; a configuration.nix that is there stays.
    #[command(alias = "nixos-generate-config")]
    GenerateConfig(GenerateConfig),
    /// Show the version of the running system, as NixOS does
    #[command(hide = true)]
    NixosVersion(NixosVersion),
    /// Go on with a change as a process of its own; `cairn switch` calls it
    #[command(hide = true)]
    ApplySwitch(ApplySwitch),
    /// Find out whether the generation that was booted is good; the service boot-assessment calls it
    #[command(hide = true)]
    Assess(Assess),
    /// Show what changes between two systems: packages, and options
    ///
    /// A system is a configuration's file, the number of a generation, or a path of the store. Of
    /// two configurations the values of all options are compared, otherwise what the systems'
    /// descriptions say.
    Diff(Diff),
    /// Have the machine's TPM keep a key of an encrypted disk, so that it is opened unasked
    ///
    /// The initrd opens the disk with it if `boot.initrd.luks.devices.<name>.tpm2.enable` is set, and asks for a
    /// passphrase if the machine was started in another way than now. systemd-cryptenroll makes such keys too.
    Tpm2(Tpm2),
    /// Run a program where a tree of packages is /usr
    ///
    /// For programs that know nothing of a store. `pkgs.fhs` makes such trees, and scripts that
    /// call this.
    Fhs(Fhs),
    /// Write this command's man pages into a folder
    ManPages(ManPages),
}

/// `cairn fhs`.
#[derive(Debug, Args)]
pub struct Fhs {
    /// The tree that becomes /usr
    pub view: PathBuf,
    /// The program, and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
    /// Root of the store, if it does not lie at /nix/store
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// `cairn man-pages`.
#[derive(Debug, Args)]
pub struct ManPages {
    /// An existing folder
    pub folder: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn the_definition_is_sound() {
        Command::command().debug_assert();
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_its_rule() {
        let error = Command::try_parse_from(["cairn", "stop", "../etc"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValueValidation);
        assert!(
            error.to_string().contains("'../etc' is not a service name"),
            "{error}"
        );
    }

    #[test]
    fn every_verb_explains_itself() {
        for verb in Command::command().get_subcommands() {
            assert!(
                verb.get_about().is_some(),
                "{} has no help",
                verb.get_name()
            );
        }
    }
}

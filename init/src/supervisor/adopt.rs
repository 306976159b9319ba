//! What a supervisor starts from: nothing, or what its predecessor left with core.
//!
//! A service goes on if core has its process. One that was about to be started when the predecessor
//! was killed is killed and started anew: nobody knows how far it had got. What was on its way into its
//! control group has ended with the predecessor, before core was told of it: it is no failure. A command that ran beside
//! a service's process (after its start, before its stop) goes on too where the predecessor has
//! executed this program in its own place; if it was killed, the command is killed and run again. A
//! service that this generation does not have is killed, if it is not down yet.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::Context;
use cairn_system::{Control, Timer};

use super::description;
use super::heir::{Estate, Heir, hold};
use super::held::Held;
use super::intake;
use super::link::{Inheritance, Link};
use super::outliving;
use super::plan;
use super::services::{Event, Services};
use super::state::{Content, Header, State};
use crate::clock::now;
use crate::core::message::{Message, Place};
use crate::realm::realm;

/// Where a supervisor starts.
pub struct Adopted {
    /// The state machine.
    pub services: Services,
    /// What starts services at given times.
    pub timers: Vec<Timer>,
    /// What is held of each service.
    pub held: Vec<Held>,
    /// The state file; core has it too.
    pub state: State,
    /// Who may ask for what.
    pub access: Control,
    /// What core said meanwhile.
    pub messages: Vec<Message>,
    /// The version of what core understands.
    pub core: u32,
    /// The socket of notifications, if a predecessor had one.
    pub notifications: Option<OwnedFd>,
    /// The control socket, if a predecessor had one.
    pub control: Option<OwnedFd>,
    /// The first event.
    pub first: Event,
}

/// What comes of it.
pub enum Adoption {
    /// This supervisor runs the services.
    Done(Box<Adopted>),
    /// Only this generation's supervisor can, for this reason.
    GoBack {
        /// The generation, which has run them last.
        toplevel: String,
        /// The reason.
        reason: String,
    },
}

/// Asks core for what it keeps, and takes it over for the generation at `toplevel`.
///
/// # Errors
/// Core does not answer, no descriptor is left, or what it keeps cannot be understood. Services are
/// as they were then.
pub fn adopt(link: &Link, toplevel: &str) -> anyhow::Result<Adoption> {
    let Inheritance {
        kept,
        messages,
        core,
    } = link.inherit().context("cannot ask core what it keeps")?;
    let mut estate = Estate::of(kept);
    let state = if let Some(file) = estate.state.take() {
        State::adopted(file)
    } else {
        let state = State::new().context("cannot make the state file")?;
        link.send(Message::Keep(Place::State), Some(state.as_fd()))?;
        state
    };
    let content = state.content().context("cannot read the state")?;
    let (header, records) = match content {
        Content::Later(toplevel) => {
            let reason = "its program is too old to read the state of the present one".to_owned();
            return Ok(Adoption::GoBack { toplevel, reason });
        }
        Content::Nothing => (Header::default(), Vec::new()),
        Content::Known(header) => (header, state.records()?),
    };
    intake::finish(&state, &records, &estate, &realm().logs)
        .context("cannot finish what a predecessor was logging")?;
    let beginning = if records.iter().all(Option::is_none) {
        begin(&state, toplevel)?
    } else {
        let description = match description::read(Path::new(toplevel)) {
            Ok(description) => description,
            Err(error) if header.toplevel == toplevel => return Err(error),
            Err(error) => return Ok(go_back(header, &error)),
        };
        let header = if header.restarts {
            let after = (toplevel, description.services.as_slice());
            outliving::begin_again(link, &state, &header, &mut estate, after)
                .context("cannot go on where user space starts again")?
        } else {
            header
        };
        if header.toplevel != toplevel && header.plan.as_deref() != Some(toplevel) {
            let before = match description::read(Path::new(&header.toplevel)) {
                Ok(before) => before.services,
                Err(error) => return Ok(go_back(header, &error)),
            };
            let after = (toplevel, description.services.as_slice());
            plan::plan(&state, &header, &before, after).context("cannot plan the switch")?;
        } else if header.plan.as_deref().is_some_and(|plan| plan != toplevel) {
            plan::withdraw(&state, &header, &description.services)
                .context("cannot take the plan of a switch back")?;
        }
        let heir = Heir {
            link,
            state: &state,
            services: &description.services,
        };
        let (mut machine, held) = heir.restore(&mut estate)?;
        machine.resume(header.booted, now());
        state.write_header(&Header {
            toplevel: toplevel.to_owned(),
            plan: None,
            ..header
        })?;
        let adopted = held.iter().filter(|held| held.main.is_some()).count();
        log::info!("{adopted} services are taken over");
        Beginning {
            machine,
            timers: description.timers,
            access: description.control,
            held,
            first: Event::Switched,
        }
    };
    Ok(Adoption::Done(Box::new(Adopted {
        services: beginning.machine,
        timers: beginning.timers,
        access: beginning.access,
        held: beginning.held,
        state,
        messages,
        core,
        notifications: estate.notifications,
        control: estate.control,
        first: beginning.first,
    })))
}

fn go_back(header: Header, error: &anyhow::Error) -> Adoption {
    Adoption::GoBack {
        toplevel: header.toplevel,
        reason: format!("{error:#}"),
    }
}

/// What follows from the description and what was kept.
struct Beginning {
    machine: Services,
    timers: Vec<Timer>,
    access: Control,
    held: Vec<Held>,
    first: Event,
}

/// Nothing runs yet.
fn begin(state: &State, toplevel: &str) -> anyhow::Result<Beginning> {
    let description = description::read_or_nothing(Path::new(toplevel));
    let held = (0..)
        .zip(&description.services)
        .map(|(slot, service)| hold(slot, service))
        .collect();
    state.write_header(&Header {
        toplevel: toplevel.to_owned(),
        ..Header::default()
    })?;
    Ok(Beginning {
        machine: Services::new(description.services),
        timers: description.timers,
        access: description.control,
        held,
        first: Event::Boot,
    })
}

//! A switch, planned in the supervisor's memory: each service's record says what is due to it.
//!
//! The supervisor that leaves plans, as long as it understands the new generation's description; if
//! it does not, the one that comes does, since a later program reads what an earlier one has read.
//! Both do it here, on the records alone. A plan is complete once the header names its generation:
//! one that was broken off before that is made anew.

use std::collections::BTreeMap;
use std::io;

use cairn_system::ordered;
use cairn_system::{Service, ServiceAction, ServiceChanges, ServiceName};

use super::record::Record;
use super::services::Due;
use super::state::{Header, State};

/// Plans the switch from `header`'s generation, whose services are `before`, to that at `toplevel`,
/// whose services are `after`. Returns the plan.
///
/// # Errors
/// The memory cannot be read or written.
pub fn plan(
    state: &State,
    header: &Header,
    before: &[Service],
    (toplevel, after): (&str, &[Service]),
) -> io::Result<ServiceChanges> {
    let old = state.records()?;
    let changes = between(&old, before, after);
    let new = with_due(old.clone(), &changes);
    for ((slot, new), old) in (0..)
        .zip(&new)
        .zip(old.iter().chain(std::iter::repeat(&None)))
    {
        if let Some(record) = new.as_ref().filter(|_| new != old) {
            state.write(slot, record)?;
        }
    }
    state.write_header(&Header {
        plan: Some(toplevel.to_owned()),
        ..header.clone()
    })?;
    Ok(changes)
}

/// Takes the plan back: nothing is due, and what only the plan has is forgotten.
///
/// # Errors
/// The memory cannot be read or written.
pub fn withdraw(state: &State, header: &Header, services: &[Service]) -> io::Result<()> {
    for (slot, record) in (0..).zip(state.records()?) {
        let Some(mut record) = record else { continue };
        let is_described = services.iter().any(|s| s.name.as_str() == record.name);
        if !is_described && !record.restored.instance {
            state.clear(slot)?;
        } else if record.restored.due.take().is_some() {
            state.write(slot, &record)?;
        }
    }
    state.write_header(&Header {
        plan: None,
        ..header.clone()
    })
}

fn between(records: &[Option<Record>], before: &[Service], after: &[Service]) -> ServiceChanges {
    let standings: BTreeMap<&str, _> = ordered::map(
        records
            .iter()
            .flatten()
            .map(|record| (record.name.as_str(), record.restored.standing())),
    );
    let standing = |name: &ServiceName| standings.get(name.as_str()).copied().unwrap_or_default();
    ServiceChanges::between(before, after, standing)
}

/// The records with what is due; services that had none get a free one.
fn with_due(mut records: Vec<Option<Record>>, changes: &ServiceChanges) -> Vec<Option<Record>> {
    let mut due: BTreeMap<&str, Due> = ordered::map(changes.iter().filter_map(|change| {
        let due = match change.action {
            ServiceAction::Stop | ServiceAction::Keep => return None,
            ServiceAction::StopAndStart | ServiceAction::Restart => Due::Restart,
            ServiceAction::Reload => Due::Reload,
            ServiceAction::Start => Due::Start,
        };
        Some((change.name.as_str(), due))
    }));
    for record in records.iter_mut().flatten() {
        record.restored.due = due.remove(record.name.as_str());
    }
    let mut slot = 0;
    for (name, due) in due {
        while records.get(slot).is_some_and(Option::is_some) {
            slot += 1;
        }
        let mut record = Record::fresh(name);
        record.restored.due = Some(due);
        match records.get_mut(slot) {
            Some(free) => *free = Some(record),
            None => records.push(Some(record)),
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::super::services::{Goal, Phase};
    use super::*;
    use cairn_system::{OnChange, Process, ServiceKind};
    use expect_test::expect;

    fn service(name: &str, program: &str, on_change: OnChange) -> Service {
        let process = Process::new(vec![program.to_owned()]);
        let name = ServiceName::try_from(name).unwrap();
        let mut service = Service::new(name, ServiceKind::Simple, process);
        service.on_change = on_change;
        service
    }

    fn up(name: &str) -> Record {
        let mut record = Record::fresh(name);
        record.restored.phase = Phase::Up;
        record.restored.goal = Goal::Up;
        record
    }

    fn show(state: &State) -> String {
        let records = state.records().unwrap();
        let records = records.iter().map(|record| match record {
            Some(record) => format!("{} {:?}", record.name, record.restored.due),
            None => "free".to_owned(),
        });
        format!(
            "{:?}\n{}",
            state.content().unwrap(),
            records.collect::<Vec<_>>().join("\n")
        )
    }

    #[test]
    fn a_plan_is_noted_and_taken_back() {
        let state = State::new().unwrap();
        let header = Header {
            toplevel: "/one".to_owned(),
            ..Header::default()
        };
        let stop = OnChange::StopAndStart;
        let before = [
            service("same", "1", stop),
            service("soon", "1", stop),
            service("gone", "1", stop),
        ];
        let after = [
            service("same", "1", stop),
            service("soon", "2", OnChange::Restart),
            service("new", "1", stop),
            service("newer", "1", stop),
        ];
        state.write_header(&header).unwrap();
        for (slot, name) in [(0, "same"), (2, "soon"), (3, "gone")] {
            state.write(slot, &up(name)).unwrap();
        }
        plan(&state, &header, &before, ("/two", &after)).unwrap();
        expect![[r#"
            Known(Header { toplevel: "/one", plan: Some("/two"), booted: false, restarts: false })
            same None
            new Some(Start)
            soon Some(Restart)
            gone None
            newer Some(Start)"#]]
        .assert_eq(&show(&state));
        withdraw(&state, &header, &before).unwrap();
        expect![[r#"
            Known(Header { toplevel: "/one", plan: None, booted: false, restarts: false })
            same None
            free
            soon None
            gone None"#]]
        .assert_eq(&show(&state));
    }
}

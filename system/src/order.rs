//! The order of services: nothing may wait for itself.

use std::collections::BTreeMap;

use crate::ordered;
use crate::service::Service;

/// A circle in what services require and come after, both ends included; none if there is none.
/// Names that `services` does not have are no part of it.
pub(crate) fn circle(services: &[Service]) -> Option<Vec<&str>> {
    let by_name: BTreeMap<&str, &Service> = ordered::map(
        services
            .iter()
            .map(|service| (service.name.as_str(), service)),
    );
    let mut seen = BTreeMap::new();
    services
        .iter()
        .find_map(|service| walk(service, &by_name, &mut seen))
}

/// Whether a service is on the present way, or known to lead to no circle.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    OnTheWay,
    Free,
}

/// Depth first with a stack of its own: a chain of services may be long.
fn walk<'a>(
    start: &'a Service,
    by_name: &BTreeMap<&str, &'a Service>,
    seen: &mut BTreeMap<&'a str, Mark>,
) -> Option<Vec<&'a str>> {
    if seen.contains_key(start.name.as_str()) {
        return None;
    }
    let earlier = |service: &'a Service| service.requires.iter().chain(&service.after);
    seen.insert(start.name.as_str(), Mark::OnTheWay);
    let mut way = vec![(start, earlier(start))];
    while let Some((service, rest)) = way.last_mut() {
        let Some(name) = rest.next() else {
            seen.insert(service.name.as_str(), Mark::Free);
            way.pop();
            continue;
        };
        let Some(next) = by_name.get(name.as_str()) else {
            continue;
        };
        match seen.get(next.name.as_str()) {
            Some(Mark::Free) => {}
            Some(Mark::OnTheWay) => {
                let names = way.iter().map(|(service, _)| service.name.as_str());
                let from = names.clone().position(|name| name == next.name.as_str());
                let circle = names.skip(from.unwrap_or(0));
                return Some(circle.chain([next.name.as_str()]).collect());
            }
            None => {
                seen.insert(next.name.as_str(), Mark::OnTheWay);
                way.push((next, earlier(next)));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::ServiceName;
    use crate::process::Process;
    use crate::service::ServiceKind;

    /// `a>b,c` is a service `a` that requires `b` and comes after `c`.
    fn check(text: &str, expected: Option<&str>) {
        let name = |text: &str| ServiceName::try_from(text).unwrap();
        let services: Vec<Service> = text
            .split_whitespace()
            .map(|word| {
                let (own, others) = word.split_once('>').unwrap_or((word, ""));
                let mut service =
                    Service::new(name(own), ServiceKind::Milestone, Process::default());
                let mut others = others.split(',').filter(|other| !other.is_empty());
                service.requires = others.next().map(name).into_iter().collect();
                service.after = others.map(name).collect();
                service
            })
            .collect();
        let circle = circle(&services).map(|circle| circle.join(" "));
        assert_eq!(circle.as_deref(), expected, "{text}");
    }

    #[test]
    fn circles() {
        check("", None);
        check("a>b b>c c a>c,b", None);
        check("a>missing", None);
        check("a>a", Some("a a"));
        check("x>a a>b b>c,d c d>a", Some("a b d a"));
        check("a b>a,c c>a,b", Some("b c b"));
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let chain: Vec<String> = (0..20_000).map(|i| format!("s{i}>s{}", i + 1)).collect();
        check(&chain.join(" "), None);
    }
}

//! A service's filters of system calls, as programs for the kernel.
//!
//! Each program kills what calls in the manner of another architecture: there, the same numbers are
//! other calls. What cannot be judged by numbers (`clone3`, `openat2`, `sched_setattr` have their
//! arguments in memory) is refused with `ENOSYS`, for which the C library has another way.
//!
//! Source: `seccomp(2)`; systemd.exec(5) for what each restriction means.

use std::collections::BTreeMap;

use cairn_sys::process::Instruction;
use cairn_system::ordered;
use cairn_system::{
    AddressFamilies, Confinement, FilterError, Forbidden, Namespace, SystemCallFilter, Verdict,
};
use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction as Action, SeccompCmpArgLen as Width, SeccompCmpOp as Compare,
    SeccompCondition as Condition, SeccompFilter, SeccompRule as Rule,
};

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// Its words.
    #[error(transparent)]
    Words(#[from] FilterError),
    /// Too much for the kernel, or an architecture that the filters do not know.
    #[error("cannot make its filter of system calls: {0}")]
    Program(#[from] seccompiler::BackendError),
}

/// Rules by the number of the call; none stand for all calls with that number.
type Rules = BTreeMap<i64, Vec<Rule>>;

/// The programs for `confinement`.
pub fn programs(confinement: &Confinement) -> Result<Vec<Vec<Instruction>>, ProgramError> {
    let mut programs = Vec::new();
    for filter in &confinement.system_calls {
        add_calls(filter, &mut programs)?;
    }
    if let Some(families) = &confinement.address_families {
        let rules = socket_rules(families)?;
        programs.push(refusing(rules, libc::EAFNOSUPPORT)?);
    }
    let (mut refused, mut unknown) = (Rules::new(), Rules::new());
    if let Some(allowed) = &confinement.namespaces {
        add_namespaces(allowed, &mut refused)?;
        unknown.insert(libc::SYS_clone3, Vec::new());
    }
    for forbidden in &confinement.forbidden {
        match forbidden {
            Forbidden::RealTime => {
                add_real_time(&mut refused)?;
                unknown.insert(libc::SYS_sched_setattr, Vec::new());
            }
            Forbidden::SetIdFiles => {
                add_set_id(&mut refused)?;
                unknown.insert(libc::SYS_openat2, Vec::new());
            }
            Forbidden::Personality => add_personality(&mut refused)?,
            Forbidden::WritableCode => add_writable_code(&mut refused)?,
            Forbidden::OtherArchitectures => {}
        }
    }
    let others = confinement
        .forbidden
        .contains(&Forbidden::OtherArchitectures);
    if !refused.is_empty() || (others && programs.is_empty()) {
        programs.push(refusing(refused, libc::EPERM)?);
    }
    if !unknown.is_empty() {
        programs.push(refusing(unknown, libc::ENOSYS)?);
    }
    Ok(programs)
}

/// What the words say: a program for what is refused in each way, and one for what is allowed, if all
/// else is refused.
fn add_calls(
    filter: &SystemCallFilter,
    programs: &mut Vec<Vec<Instruction>>,
) -> Result<(), ProgramError> {
    let verdicts = filter.verdicts()?;
    let mut refused: BTreeMap<Verdict, Rules> = BTreeMap::new();
    for (call, verdict) in &verdicts.calls {
        let rules = refused.entry(*verdict).or_default();
        rules.insert(i64::from(*call), Vec::new());
    }
    refused.remove(&Verdict::Allow);
    for (verdict, rules) in refused {
        programs.push(program(rules, Action::Allow, action(verdict))?);
    }
    if verdicts.others != Verdict::Allow {
        // What is refused in a way of its own is let through here: the strictest program decides.
        let known = verdicts.calls.keys();
        let known = ordered::map(known.map(|call| (i64::from(*call), Vec::new())));
        programs.push(program(known, action(verdicts.others), Action::Allow)?);
    }
    Ok(())
}

fn action(verdict: Verdict) -> Action {
    match verdict {
        Verdict::Allow => Action::Allow,
        Verdict::Fail(errno) => Action::Errno(errno.into()),
        Verdict::Kill => Action::KillProcess,
    }
}

fn refusing(rules: Rules, errno: i32) -> Result<Vec<Instruction>, ProgramError> {
    let errno = errno.unsigned_abs();
    program(rules, Action::Allow, Action::Errno(errno))
}

fn program(rules: Rules, others: Action, these: Action) -> Result<Vec<Instruction>, ProgramError> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let program: BpfProgram = SeccompFilter::new(rules, others, these, architecture)?.try_into()?;
    let instruction = |instruction: seccompiler::sock_filter| Instruction {
        code: instruction.code,
        jt: instruction.jt,
        jf: instruction.jf,
        k: instruction.k,
    };
    Ok(program.into_iter().map(instruction).collect())
}

/// `socket(family, …)`.
fn socket_rules(families: &AddressFamilies) -> Result<Rules, ProgramError> {
    let number = |family: &cairn_system::AddressFamily| u64::from(family.number());
    let rules = match families {
        AddressFamilies::Only(allowed) if allowed.is_empty() => Vec::new(),
        AddressFamilies::Only(allowed) => {
            let conditions = allowed
                .iter()
                .map(|family| is(0, Compare::Ne, number(family)));
            vec![Rule::new(conditions.collect::<Result<_, _>>()?)?]
        }
        AddressFamilies::Except(refused) if refused.is_empty() => return Ok(Rules::new()),
        AddressFamilies::Except(refused) => refused
            .iter()
            .map(|family| when(&[(0, Compare::Eq, number(family))]))
            .collect::<Result<_, _>>()?,
    };
    Ok(Rules::from([(libc::SYS_socket, rules)]))
}

fn add_namespaces(allowed: &[Namespace], rules: &mut Rules) -> Result<(), ProgramError> {
    for namespace in Namespace::ALL {
        if allowed.contains(&namespace) {
            continue;
        }
        let flag = u64::from(namespace.flag());
        let has_flag = |argument| when(&[(argument, Compare::MaskedEq(flag), flag)]);
        // In `clone` the bit of `CLONE_NEWTIME` is a part of the signal's number.
        if namespace != Namespace::Time {
            add(rules, libc::SYS_clone, has_flag(0)?);
        }
        add(rules, libc::SYS_unshare, has_flag(0)?);
        add(rules, libc::SYS_setns, has_flag(1)?);
    }
    if rules.contains_key(&libc::SYS_setns) {
        // Whatever kind the descriptor is of.
        add(rules, libc::SYS_setns, when(&[(1, Compare::Eq, 0)])?);
    }
    Ok(())
}

fn add_real_time(rules: &mut Rules) -> Result<(), ProgramError> {
    const RESET_ON_FORK: u64 = 0x4000_0000;
    let mask = u64::from(u32::MAX) & !RESET_ON_FORK;
    for policy in [libc::SCHED_FIFO, libc::SCHED_RR, libc::SCHED_DEADLINE] {
        let policy = u64::from(policy.unsigned_abs());
        let rule = when(&[(1, Compare::MaskedEq(mask), policy)])?;
        add(rules, libc::SYS_sched_setscheduler, rule);
    }
    Ok(())
}

/// Each call that gives a file its mode, and which argument that is.
fn add_set_id(rules: &mut Rules) -> Result<(), ProgramError> {
    let flags = |flag: i32| u64::from(flag.unsigned_abs());
    let created = [libc::O_CREAT, libc::O_TMPFILE].map(flags);
    for bit in [libc::S_ISUID, libc::S_ISGID] {
        let bit = u64::from(bit);
        for (call, mode) in WITH_MODE {
            add(rules, *call, when(&[(*mode, Compare::MaskedEq(bit), bit)])?);
        }
        for (call, flags, mode) in OPENING {
            for made in created {
                let rule = when(&[
                    (*flags, Compare::MaskedEq(made), made),
                    (*mode, Compare::MaskedEq(bit), bit),
                ])?;
                add(rules, *call, rule);
            }
        }
    }
    Ok(())
}

/// Calls with a mode, and which argument that is.
const WITH_MODE: &[(i64, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (SYS_FCHMODAT2, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, 1),
    (libc::SYS_mkdirat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    (libc::SYS_mknodat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
];

/// The same number on all architectures.
const SYS_FCHMODAT2: i64 = 452;

/// Calls that make a file if their flags say so; which arguments flags and mode are.
const OPENING: &[(i64, u8, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1, 2),
    (libc::SYS_openat, 2, 3),
];

fn add_personality(rules: &mut Rules) -> Result<(), ProgramError> {
    // As it is, and asking for it.
    let conditions = [(0, Compare::Ne, 0), (0, Compare::Ne, u64::from(u32::MAX))];
    add(rules, libc::SYS_personality, when(&conditions)?);
    Ok(())
}

fn add_writable_code(rules: &mut Rules) -> Result<(), ProgramError> {
    let flag = |flag: i32| u64::from(flag.unsigned_abs());
    let both = flag(libc::PROT_WRITE | libc::PROT_EXEC);
    let execute = flag(libc::PROT_EXEC);
    let shared = flag(libc::SHM_EXEC);
    let has = |flags| when(&[(2, Compare::MaskedEq(flags), flags)]);
    add(rules, libc::SYS_mmap, has(both)?);
    add(rules, libc::SYS_mprotect, has(execute)?);
    add(rules, libc::SYS_pkey_mprotect, has(execute)?);
    add(rules, libc::SYS_shmat, has(shared)?);
    Ok(())
}

fn add(rules: &mut Rules, call: i64, rule: Rule) {
    rules.entry(call).or_default().push(rule);
}

/// All of these hold: argument, comparison, value.
fn when(conditions: &[(u8, Compare, u64)]) -> Result<Rule, seccompiler::BackendError> {
    let conditions = conditions
        .iter()
        .map(|(argument, compare, value)| is(*argument, compare.clone(), *value));
    Rule::new(conditions.collect::<Result<_, _>>()?)
}

fn is(argument: u8, compare: Compare, value: u64) -> Result<Condition, seccompiler::BackendError> {
    Condition::new(argument, Width::Dword, compare, value)
}

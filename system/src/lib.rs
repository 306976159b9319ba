//! The system description: what crosses from build time to boot time.
//!
//! A generation's `system.json` ([`SystemDescription`]), its `boot.json` ([`Bootspec`]) and the
//! initrd's `stage-1.json` ([`Stage1`]) are the only data that init and activation read. They are
//! versioned; an unknown field is refused with its path, so that an old init never half-obeys a
//! newer description. (`boot.json` is the exception: its specification wants unknown keys ignored.)
//!
//! Invariant: no I/O here. `parse` functions take text, and callers read files.

#![forbid(unsafe_code)]

mod activation;
mod address_range;
pub mod boot_mark;
mod bootspec;
mod by_name;
mod calendar;
mod condition;
mod confinement;
pub mod control;
mod credential;
mod description;
mod device;
mod end_status;
pub mod factory_reset;
mod few;
mod file_system;
mod health;
pub mod live;
mod local_zone;
pub mod log_line;
mod machine_action;
mod name;
mod octal;
mod order;
pub mod ordered;
mod output;
mod parse;
mod path_rule;
mod process;
mod readiness;
mod service;
mod service_changes;
mod signal;
mod socket;
mod stage1;
mod storage;
mod swap;
mod system_calls;
mod timer;
mod timestamp;
pub mod tpm2;
pub mod trial;
mod user;
mod user_services;
pub mod verity;
mod watch;

pub use address_range::{AddressRange, NoAddressRange};
pub use bootspec::{Bootspec, BootspecV1, Memtest, MenuUser, MenuV1, TrialV1};
pub use calendar::{Calendar, CalendarError, Civil};
pub use condition::{Condition, ConditionKind};
pub use confinement::{
    Access, AddressFamilies, AddressFamily, AddressFence, Confined, Confinement, DeviceFence,
    Forbidden, Namespace, Own, PathAccess, ProcessView, ServiceMount, Visible,
};
pub use credential::{Credential, CredentialSource};
pub use description::{Control, CopyMode, Directory, EtcEntry, SystemDescription, Wrapper};
pub use device::{AllowedDevice, DeviceAccess, DeviceKind, NoDevice};
pub use end_status::EndStatus;
pub use few::Few;
pub use file_system::{Device, FileSystem, MountPoint};
pub use health::{HealthCheck, Need};
pub use local_zone::{LocalZone, NoZone};
pub use machine_action::{MachineAction, MachineActions};
pub use name::{
    CredentialName, DevicePath, HostName, MapperName, NameError, ServiceName, UserName,
};
pub use parse::{ParseError, V1, from_bytes};
pub use path_rule::{PathKind, PathRule};
pub use process::{
    Command, EnvironmentFile, IoClass, IoScheduling, Limit, OpenFile, OpenMode, Outlet, Process,
    Resource, Scheduling, SchedulingPolicy, StandardStream, WorkingDirectory,
};
pub use readiness::Readiness;
pub use service::{
    KillMode, OnChange, Reload, Restart, Service, ServiceDirectory, ServiceKind, StartLimit,
};
pub use service_changes::{Cause, ServiceAction, ServiceChange, ServiceChanges, Standing};
pub use signal::{Signal, UnknownSignal};
pub use socket::{
    Address, AddressError, FilePath, FilePathError, Listen, NetlinkError, NetlinkFamily, Socket,
};
pub use stage1::Stage1;
pub use storage::{EncryptedDevice, KeyFile, Storage, Tpm2};
pub use swap::{Discard, RandomEncryption, SwapDevice};
pub use system_calls::{FilterError, SystemCallFilter, Verdict, Verdicts};
pub use timer::Timer;
pub use timestamp::{civil_date, timestamp};
pub use user::{Day, Group, IdRange, User};
pub use user_services::{Facts, UserServices};
pub use watch::{Watch, WatchedPath};

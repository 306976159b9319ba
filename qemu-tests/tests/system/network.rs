//! Services and networking of a configuration, as they run: DHCP, firewall, web server, clock, cron,
//! timers, and a service with bounds.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::ensure;
use cairn_qemu_tests::{Blueprint, Boot, Machine, images};
use cairn_system::boot_mark;

use crate::ssh::ssh;

/// A shell function: waits until a command succeeds, for two minutes at most.
const UNTIL: &str = "until_ok() { for i in $(seq 240); do if \"$@\" > /dev/null 2>&1; then return 0; fi; \
     sleep 0.5; done; echo \"never: $*\"; cairn status; return 1; }; ";

fn machine() -> anyhow::Result<&'static Machine> {
    static MACHINE: OnceLock<Result<Machine, String>> = OnceLock::new();
    let machine = MACHINE.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    machine
        .as_ref()
        .map_err(|error| anyhow::anyhow!("cannot start the machine: {error}"))
}

fn start() -> anyhow::Result<Machine> {
    let built = images::build(
        "services",
        &images::with_agent("services")?,
        &images::options()?,
    )?;
    let machine = Blueprint::new("services", Boot::Bios)
        .disk(&built.image)
        .memory_mib(768)
        .deadline(Duration::from_mins(10))
        .ssh()
        .start()?;
    machine.check("boot", |machine| {
        machine.console().wait_for(boot_mark::BOOT_DONE)?;
        machine.agent().ready()?;
        Ok(())
    })?;
    Ok(machine)
}

/// Runs a script in the machine; its output is compared.
pub fn check(name: &str, script: &str, expected: &str) -> anyhow::Result<()> {
    machine()?.check(name, |machine| {
        let script = format!("{UNTIL}{script}");
        let output = machine
            .agent()
            .run_within(&script, Duration::from_mins(3))?;
        ensure!(
            output.success() && output.stdout.trim() == expected,
            "{output:?}"
        );
        Ok(())
    })
}

#[test]
fn an_address_and_a_name_server_come_by_dhcp() -> anyhow::Result<()> {
    check(
        "dhcp",
        "until_ok grep -q nameserver /etc/resolv.conf; \
         ip -4 -br address show dev eth0 | grep -o 10.0.2.15/24; \
         ip route | grep -o 'default via 10.0.2.2'; grep -o 'nameserver.*' /etc/resolv.conf",
        "10.0.2.15/24\ndefault via 10.0.2.2\nnameserver 10.0.2.3",
    )
}

/// The other side is a namespace in the same machine, behind an interface that is not trusted.
#[test]
fn the_firewall_lets_in_what_is_open_and_counts_the_rest() -> anyhow::Result<()> {
    check(
        "firewall",
        "modprobe veth; ip netns add outside && ip link add inner type veth peer name outer netns outside && \
         ip address add 192.0.2.1/24 dev inner && ip link set inner up && \
         ip -n outside address add 192.0.2.2/24 dev outer && ip -n outside link set outer up || exit 1; \
         until_ok ip netns exec outside curl -s -m 5 http://192.0.2.1/; \
         ip netns exec outside curl -s -m 5 http://192.0.2.1/; \
         until_ok curl -s -m 5 -o /dev/null http://127.0.0.1:8081/; \
         ip netns exec outside curl -s -m 3 http://192.0.2.1:8081/; echo $?; \
         count=$(nft list counter inet cairn-firewall refused | grep -o 'packets [1-9]'); \
         [ -n \"$count\" ] && echo counted",
        "It works.\n28\ncounted",
    )
}

#[test]
fn the_web_server_is_reloaded_and_stopped() -> anyhow::Result<()> {
    check(
        "nginx",
        "until_ok curl -s -m 5 http://127.0.0.1/; before=$(cat /run/nginx/nginx.pid); \
         cairn reload nginx && curl -s http://127.0.0.1/; \
         [ \"$before\" = \"$(cat /run/nginx/nginx.pid)\" ] && echo same; \
         cairn stop nginx && [ ! -e /run/nginx ] && cairn start nginx && curl -s http://127.0.0.1/",
        "It works.\nsame\nIt works.",
    )
}

#[test]
fn a_service_has_the_rights_and_bounds_that_its_unit_gives() -> anyhow::Result<()> {
    check(
        "bounds",
        "until_ok test -s /var/lib/confined/who; pid=$(pgrep -u confined sleep); \
         cat /var/lib/confined/who; cd /proc/$pid; \
         grep -E '^(CapEff|CapBnd|NoNewPrivs|Umask)' status | tr -s '\\t' ' '; \
         grep -o 'Max open files *4096' limits | tr -s ' '; stat -c '%U %a' /run/confined; \
         cat /sys/fs/cgroup/cairn/confined/memory.max; \
         cairn stop confined && [ ! -e /run/confined ] && echo gone; cairn start confined",
        "confined\nUmask: 0027\nCapEff: 0000000000000400\nCapBnd: 0000000000000400\nNoNewPrivs: 1\n\
         Max open files 4096\nconfined 755\n67108864\ngone",
    )
}

#[test]
fn a_confined_service_sees_what_is_its_own() -> anyhow::Result<()> {
    check(
        "confinement",
        "until_ok grep -q Seccomp /var/lib/confined/seen; cat /var/lib/confined/seen",
        "mine\n\
         touch: cannot touch '/var/lib/others': Read-only file system\n\
         touch: cannot touch '/etc/others': Read-only file system\n\
         ls: cannot access '/proc/sys': No such file or directory\n\
         /dev:\nfd\nfull\nlog\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\n\
         urandom\nzero\n\
         ls: cannot open directory '/root': Permission denied\n\
         few processes\n1\n\
         mkdir: cannot create directory '/nix/store/mine': Read-only file system\n\
         Seccomp:\t2",
    )
}

#[test]
fn services_have_roots_of_their_own() -> anyhow::Result<()> {
    // A dynamic user has folders for what is temporary, also in a root of its own.
    check(
        "roots",
        "until_ok grep -q runs /var/log/cairn/vendor.log; until_ok grep -q mine /var/log/cairn/enclosed.log; \
         grep -hv '^-- ' /var/log/cairn/vendor.log /var/log/cairn/enclosed.log | cut -d' ' -f2-",
        "bin dev lib lib64 nix proc run sbin sys tmp usr var\nruns\n\
         /: bin dev nix proc run sys tmp var /bin: sh\nfew objects\n\
         touch: cannot touch '/mine': Read-only file system",
    )
}

/// Its server is started for each connection, and a session outlives the supervisor that has taken it.
#[test]
fn ssh_starts_with_a_connection() -> anyhow::Result<()> {
    machine()?.check("ssh", |machine| {
        let folder = tempfile::tempdir()?;
        let script = "kill -9 $(pgrep -P 1 -f '^cairn-supervisor'); \
            until status=$(cairn status sshd.socket); do sleep 0.2; done; \
            echo \"$status\" | grep activity; cairn status | grep -c 'sshd@0 *up'";
        let output = ssh(machine, &folder.path().join("known_hosts"), script)?;
        ensure!(
            output == "  activity:  listens on tcp [::]:22; 1 connection\n1\n",
            "{output}"
        );
        let log = machine.agent().succeed("cat /var/log/cairn/sshd@0.log")?;
        ensure!(log.contains("Accepted publickey for root"), "{log}");
        Ok(())
    })
}

#[test]
fn clocks_bring_about_what_they_should() -> anyhow::Result<()> {
    check(
        "timers",
        "until_ok grep -q JST /run/ticks; until_ok test -s /run/cron; head -1 /run/cron; \
         until_ok chronyc -n tracking && echo chrony; until_ok test -e /run/rescued; \
         cairn status failing | grep -o 'its process exited with status 3'",
        "fired\nchrony\nits process exited with status 3",
    )
}

#[test]
fn somebody_is_logged_in_on_the_console() -> anyhow::Result<()> {
    machine()?.check("autologin", |machine| {
        machine
            .console()
            .send_line("echo logged''in as $(id -un)")?;
        machine.console().wait_for("loggedin as root")
    })
}

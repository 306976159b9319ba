//! Bounds of services, on the machine of [`network`](crate::network): what happens at them, and what is shown of it.

use crate::network::check;

#[test]
fn what_is_short_of_memory_ends_as_its_unit_says() -> anyhow::Result<()> {
    check(
        "memory",
        "for one in greedy shaken crushed patient; do cairn start $one; done; \
         for one in greedy shaken crushed; do until_ok grep -q oom-kill /run/$one; done; \
         until_ok test -s /run/patient; \
         for one in greedy shaken crushed patient; do echo $one: $(cat /run/$one); done; \
         for one in greedy shaken crushed patient; do cairn status $one | grep -o 'memory had run out' | head -n1; done; \
         dmesg | grep -o \"has killed a process of 'patient'\"; \
         cairn status --json patient | grep -o '\"state\":\"up\"'; cairn stop patient; cat /run/patient",
        "greedy: told oom-kill\nshaken: told asked oom-kill\ncrushed: oom-kill\npatient: 137\n\
         memory had run out\nmemory had run out\nmemory had run out\n\
         has killed a process of 'patient'\n\"state\":\"up\"\n137\ntold\nsuccess",
    )
}

/// What happens while no supervisor looks is noticed by the next one, and what was noticed is not noticed again.
#[test]
fn a_supervisors_end_hides_no_want_of_memory() -> anyhow::Result<()> {
    check(
        "memory unseen",
        "supervisor() { pgrep -P 1 -f '^cairn-supervisor'; }; \
         cairn start late; kill -STOP $(supervisor); touch /run/late.go; \
         until_ok test -e /run/late.done; kill -9 $(supervisor); \
         until_ok grep -q oom-kill /run/late; echo $(cat /run/late); \
         rm /run/late /run/late.go; until_ok cairn start late; kill -9 $(supervisor); \
         until_ok cairn status late; sleep 2; cairn status --json late | grep -o '\"state\":\"up\"'; test ! -e /run/late; \
         touch /run/late.go; until_ok grep -q oom-kill /run/late; echo $(cat /run/late)",
        "told asked oom-kill\n\"state\":\"up\"\ntold asked oom-kill",
    )
}

#[test]
fn a_service_has_the_place_in_line_that_its_unit_gives() -> anyhow::Result<()> {
    check(
        "placed",
        "cairn start placed; until_ok grep -q fork /var/log/cairn/placed.log; cat /run/placed; \
         grep -o \"can't fork\" /var/log/cairn/placed.log; \
         grep max /sys/fs/cgroup/cairn/placed/pids.events; \
         until_ok /bin/sh -c 'cairn status --json placed | grep -q :4,'; \
         cairn status --json placed | grep -oE '\"(tasks|memory|cpuUs)\":[1-9][0-9]*' | sed 's/[0-9]\\{2,\\}/some/'; \
         cairn status placed | grep -o '4 tasks'; cairn stop placed",
        "7\nbest-effort: prio 6\nCpus_allowed_list: 0\n\
         50\n150000 100000\n50331648\n67108864\n1048576\n5\n100\n\
         Max cpu time 3600 7200 seconds \nMax core file size 0 0 bytes \nMax open files 512 1024 files \n\
         Max locked memory unlimited unlimited bytes \n\
         Max address space 4294967296 4294967296 bytes \nMax nice priority 25 25 \n\
         can't fork\nmax 1\n\"memory\":some\n\"cpuUs\":some\n\"tasks\":4\n4 tasks",
    )
}

#[test]
fn a_quota_holds_back_and_is_shown() -> anyhow::Result<()> {
    check(
        "quota",
        "cairn start slow; until_ok grep -q 'nr_throttled [1-9][0-9]' /sys/fs/cgroup/cairn/slow/cpu.stat; \
         cairn status slow | grep -oE '1 task$|waits: '; \
         cairn status --json slow | grep -oE '\"pressure\":.*' | sed 's/[0-9][0-9.]*/N/g'; cairn stop slow",
        "1 task\nwaits: \n\"pressure\":{\"cpu\":N,\"memory\":N,\"io\":N}}}",
    )
}

#[test]
fn a_service_keeps_to_its_processors() -> anyhow::Result<()> {
    check(
        "processors",
        "cairn start pinned; cd /sys/fs/cgroup/cairn/pinned; cat cpuset.cpus cpuset.cpus.effective; \
         grep Cpus_allowed_list /proc/$(cat cgroup.procs)/status | tr -s '\\t' ' '; cairn stop pinned",
        "0\n0\nCpus_allowed_list: 0",
    )
}

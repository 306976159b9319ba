//! Rules as people write them.

use super::{check, decision, disk, hidraw, network, tty};
use expect_test::expect;

#[test]
fn a_security_key() {
    check(
        &hidraw(),
        r#"
        ACTION!="add|change", GOTO="u2f_end"
        # Yubico YubiKey
        KERNEL=="hidraw*", SUBSYSTEM=="hidraw", ATTRS{idVendor}=="1050", \
            # any of them
            ATTRS{idProduct}=="0113|0114|0407|0410", TAG+="uaccess", GROUP="plugdev", MODE="0660"
        LABEL="u2f_end"
        "#,
        &expect![[r#"
            tag: uaccess
            group: 46
            mode: 0660
        "#]],
    );
}

#[test]
fn a_serial_adapter_by_its_serial_number() {
    check(
        &tty(),
        r#"SUBSYSTEM=="tty", ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6001", SYMLINK+="ttyUSB-$attr{serial} modem%n", GROUP="dialout", MODE="660", ENV{ID_MM_DEVICE_IGNORE}="1""#,
        &expect![[r#"
            ID_MM_DEVICE_IGNORE=1
            link: modem0
            link: ttyUSB-A9_07/x___id_
            group: 20
            mode: 0660
        "#]],
    );
}

#[test]
fn a_network_card_by_its_address() {
    let rule = r#"ACTION=="add", SUBSYSTEM=="net", DRIVERS=="?*", ATTR{address}=="52:54:00:12:34:56", NAME="lan0""#;
    // This one has no driver, nor has what is above it.
    check(&network(), rule, &expect![""]);
    let rule = r#"SUBSYSTEM=="net", ACTION=="add", ATTR{address}=="52:54:00:12:34:56", ATTR{type}=="1", NAME="lan0""#;
    check(
        &network(),
        rule,
        &expect![[r#"
        interface: lan0
    "#]],
    );
    let rule = r#"NAME="", GOTO="x", NAME="a-name-that-is-too-long""#;
    check(
        &network(),
        rule,
        &expect![[r#"
        10-test.rules:1: this rule is left out: NAME needs a value that is not empty
    "#]],
    );
    let rule = r#"NAME=="", NAME="w l/a:n%m""#;
    check(
        &network(),
        rule,
        &expect![[r#"
        interface: w_l_a_n0
    "#]],
    );
}

#[test]
fn a_scheduler_and_a_sleeping_disk() {
    check(
        &disk(),
        r#"
        ACTION=="add|change", KERNEL=="sd[a-z]", ATTR{queue/rotational}=="1", ATTR{queue/scheduler}="bfq"
        ACTION=="add|change", KERNEL=="sd[a-z]|mmcblk[0-9]*|nvme[0-9]*", ATTR{queue/rotational}=="0", ATTR{queue/scheduler}="none"
        ACTION=="add", SUBSYSTEM=="block", KERNEL=="sda", RUN+="/nix/store/x-hdparm-9.65/bin/hdparm -B 254 -S 0 /dev/%k"
        SUBSYSTEM=="block", ATTRS{vendor}=="ATA     ", ATTRS{model}=="WDC *", SYMLINK+="disk/by-bay/1"
        "#,
        &expect![[r#"
            attribute sda queue/scheduler = bfq
            link: disk/by-bay/1
            command: Program(["/nix/store/x-hdparm-9.65/bin/hdparm", "-B", "254", "-S", "0", "/dev/sda"])
        "#]],
    );
}

#[test]
fn persistent_names_of_a_partition() {
    check(
        &format!("{}/sda1", disk()),
        r#"
        ACTION=="remove", GOTO="persistent_storage_end"
        SUBSYSTEM!="block", GOTO="persistent_storage_end"
        KERNEL!="sd*|sr*", GOTO="persistent_storage_end"
        ENV{DEVTYPE}=="partition", IMPORT{parent}="ID_*"
        ENV{DEVTYPE}!="partition", IMPORT{builtin}="path_id"
        ENV{DEVTYPE}=="partition", ENV{ID_SERIAL}=="?*", SYMLINK+="disk/by-id/ata-$env{ID_SERIAL}-part%n"
        ENV{DEVTYPE}=="disk", ENV{ID_SERIAL}=="?*", SYMLINK+="disk/by-id/ata-$env{ID_SERIAL}"
        OPTIONS+="watch", OPTIONS+="link_priority=-100"
        LABEL="persistent_storage_end"
        "#,
        &expect![[r#"
            ID_MODEL=WDC
            ID_SERIAL=WDC_1
            link: disk/by-id/ata-WDC_1-part1
            priority: -100
            watched: true
        "#]],
    );
}

#[test]
fn a_program_and_its_result() {
    check(
        &disk(),
        r#"
        PROGRAM="/bin/echo one 'two words' $attr{size}", RESULT=="one*", ENV{FIRST}="%c{1}", ENV{REST}="$result{2+}", SYMLINK+="by-size/%c"
        PROGRAM=="/bin/false", ENV{NEVER}="1"
        PROGRAM!="/bin/false", ENV{EXIT}="failed"
        PROGRAM="/bin/none", ENV{NEVER}="1"
        RESULT=="", ENV{EMPTY}="yes"
        "#,
        &expect![[r#"
            output ["/bin/echo", "one", "two words", "7814037168"]
            output ["/bin/false"]
            output ["/bin/false"]
            output ["/bin/none"]
            EMPTY=yes
            EXIT=failed
            FIRST=one
            REST=two words 7814037168
            link: by-size/one_two_words_7814037168
        "#]],
    );
}

#[test]
fn imports() {
    check(
        &disk(),
        r#"
        IMPORT{program}="/bin/export", ENV{PROGRAM_OK}="1"
        IMPORT{program}!="/bin/false", ENV{PROGRAM_BAD}="1"
        IMPORT{program}="path_id", ENV{BY_NAME}="1"
        IMPORT{builtin}=="blkid --offset 0", ENV{NEVER}="1"
        IMPORT{file}="/etc/facts", ENV{FILE_OK}="1"
        IMPORT{file}=="/etc/none", ENV{NEVER}="1"
        IMPORT{db}="OLD"
        IMPORT{db}=="NONE", ENV{NEVER}="1"
        IMPORT{cmdline}="quiet"
        IMPORT{cmdline}!="nosuch", ENV{NOT_THERE}="1"
        "#,
        &expect![[r#"
            output ["/bin/export"]
            output ["/bin/false"]
            builtin ["path_id"]
            builtin ["blkid", "--offset", "0"]
            A_KEY=a value
            BY_NAME=1
            B_KEY=b
            C_KEY=c d
            FILE_OK=1
            ID_PATH=path-of-sda
            NOT_THERE=1
            OLD=1
            PROGRAM_BAD=1
            PROGRAM_OK=1
            quiet=1
        "#]],
    );
}

#[test]
fn removal_runs_what_it_says() {
    let rules = r#"
        ACTION=="remove", ENV{DEVTYPE}=="disk", RUN+="/bin/logger 'gone: $env{DEVNAME}'", RUN{builtin}+="kmod load"
        ACTION=="add", RUN+="/bin/no""#;
    expect![[r#"
        command: Builtin(["kmod", "load"])
        command: Program(["/bin/logger", "gone: /dev/sda"])
    "#]]
    .assert_eq(&decision(&disk(), "remove", rules));
}

//! What rules assign, and what they do not.

use super::{check, disk, network, tty};
use expect_test::expect;

#[test]
fn final_words() {
    check(
        &disk(),
        r#"
        OWNER:="alice", GROUP="users", MODE:="0600", SYMLINK:="a b", RUN:="/bin/first"
        OWNER="root", GROUP="dialout", MODE="0666", SYMLINK+="c", RUN+="/bin/second"
        "#,
        &expect![[r#"
            link: a
            link: b
            owner: 1000
            group: 20
            mode: 0600
            command: Program(["/bin/first"])
        "#]],
    );
}

#[test]
fn lists() {
    check(
        &disk(),
        r#"
        SYMLINK+="a b c", TAG+="x", TAG+="y", TAG+="z", ENV{LIST}="1", RUN+="/bin/a", RUN{builtin}+="kmod load x"
        SYMLINK-="b", TAG-="y", ENV{LIST}+="2", RUN+="/bin/a"
        SYMLINK=="c", TAG=="z", ENV{LIST}+="$env{NONE}", ENV{HAS_C}="1"
        SYMLINK=="b", ENV{NEVER}="1"
        TAG!="y", ENV{DEVTYPE}=="disk", ENV{.PRIVATE}="kept for rules", ENV{GONE}="x"
        ENV{GONE}=""
        "#,
        &expect![[r#"
            .PRIVATE=kept for rules
            HAS_C=1
            LIST=1 2
            link: a
            link: c
            tag: x
            tag: z
            command: Builtin(["kmod", "load", "x"])
            command: Program(["/bin/a"])
        "#]],
    );
    check(
        &disk(),
        r#"
        SYMLINK+="a", TAG+="x", RUN+="/bin/a"
        SYMLINK="b", TAG="y", RUN="/bin/b"
        "#,
        &expect![[r#"
            link: b
            tag: y
            command: Program(["/bin/b"])
        "#]],
    );
}

#[test]
fn unknown_owners_and_bad_values_change_nothing() {
    check(
        &disk(),
        r#"
        OWNER="nobody-here", GROUP="1000000", MODE="$env{DEVNAME}", TAG+="a b", NAME="disk"
        OWNER="1000", SECLABEL{selinux}="x", ENV{SECLABEL_IS_NO_REASON}="1"
        "#,
        &expect![[r#"
            10-test.rules:3: SECLABEL has no effect: there are no security modules; remove it
            SECLABEL_IS_NO_REASON=1
            owner: 1000
        "#]],
    );
}

#[test]
fn links_stay_below_dev() {
    check(
        &disk(),
        r#"
        SYMLINK+="../etc/passwd /etc/shadow /dev/inside a/../b . a//b/ sda x;y"
        SYMLINK+="$attr{queue/scheduler}"
        OPTIONS+="string_escape=none", SYMLINK+="$attr{queue/scheduler} <z>"
        OPTIONS+="string_escape=replace", SYMLINK+="one two"
        OPTIONS+="string_escape=replace", ENV{SAFE}="a/b c"
        "#,
        &expect![[r#"
            SAFE=a_b_c
            link: <z>
            link: _mq-deadline_
            link: _mq-deadline__none
            link: a/b
            link: inside
            link: none
            link: one_two
            link: x_y
        "#]],
    );
}

#[test]
fn substitutions() {
    check(
        &tty(),
        r#"
        SUBSYSTEMS=="usb", ATTRS{idVendor}=="0403", ENV{SHORT}="%k %n %p %b %s{idProduct} %E{MAJOR} %M:%m %P %r %S %N %% 100%%"
        ENV{LONG}="$kernel $number $devpath $id $driver $attr{idProduct} $env{MAJOR} $major:$minor $parent $root $sys $devnode $$"
        ENV{SERIAL}="$attr{serial}", ENV{ELSEWHERE}="%s{[usb/1-2]product}", ENV{NONE}="<$attr{none}$env{NONE}>"
        SYMLINK+="one two", ENV{BEFORE}="$links"
        ENV{AFTER}="$links|$name"
        SUBSYSTEMS=="usb", DRIVERS=="ftdi*", ENV{DRIVER_ABOVE}="$driver"
        ENV{ODD}="$nothing %z % $"
        "#,
        &expect![[r#"
            10-test.rules:8: '$nothing %z ' in the value of ENV is no substitution and stays as it is; write $$ or %% for the character
            10-test.rules:8: '%z % $' in the value of ENV is no substitution and stays as it is; write $$ or %% for the character
            10-test.rules:8: '% $' in the value of ENV is no substitution and stays as it is; write $$ or %% for the character
            10-test.rules:8: '$' in the value of ENV is no substitution and stays as it is; write $$ or %% for the character
            AFTER=one two|ttyUSB0
            DRIVER_ABOVE=ftdi_sio
            ELSEWHERE=FT232R USB UART
            LONG=ttyUSB0 0 /devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0 1-2  6001 188 188:0  /dev /sys /dev/ttyUSB0 $
            NONE=<>
            ODD=$nothing %z % $
            SERIAL=A9 07/x_$_id_
            SHORT=ttyUSB0 0 /devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0 1-2 6001 188 188:0  /dev /sys /dev/ttyUSB0 % 100%
            link: one
            link: two
        "#]],
    );
}

#[test]
fn a_devices_words_are_no_arguments() {
    check(
        &tty(),
        r#"ATTRS{idVendor}=="0403", RUN+="/bin/sh -c 'echo \"$1\"' -- $attr{serial} \"quoted $attr{product}\"""#,
        &expect![[r#"
            10-test.rules:1: '$1"' in the value of RUN is no substitution and stays as it is; write $$ or %% for the character
            command: Program(["/bin/sh", "-c", "echo \"$1\"", "--", "A9 07/x_$_id_", "quoted FT232R USB UART"])
        "#]],
    );
}

#[test]
fn parameters_and_attributes_are_written() {
    check(
        &disk(),
        r#"
        SYSCTL{net/ipv4/ip_forward}="1", ATTR{queue/rotational}="0", ATTR{[usb/1-2]power/control}="on", ATTR{[usb/none]x}="1"
        ATTR{*/none}="1"
        ATTR{../*/sda1/partition}="2"
        "#,
        &expect![[r#"
            attribute sda queue/rotational = 0
            attribute 1-2 power/control = on
            sysctl net/ipv4/ip_forward = 1
            attribute block sda/sda1/partition = 2
        "#]],
    );
}

#[test]
fn no_node_no_links() {
    check(
        &network(),
        r#"SYMLINK+="x", OPTIONS+="db_persist", OPTIONS+="nowatch", ENV{X}="1""#,
        &expect![[r#"
            X=1
            watched: false
            kept: yes
        "#]],
    );
}

#[test]
fn jumps() {
    check(
        &disk(),
        r#"
        ENV{A}="1", GOTO="below"
        ENV{B}="1"
        LABEL="below", ENV{C}="1"
        GOTO="nowhere", ENV{D}="1"
        KERNEL=="none", GOTO="end"
        ENV{E}="1"
        LABEL="end"
        GOTO="below"
        "#,
        &expect![[r#"
            10-test.rules:5: GOTO="nowhere" has no LABEL="nowhere" below it in this file; it is ignored
            10-test.rules:9: GOTO="below" has no LABEL="below" below it in this file; it is ignored
            A=1
            C=1
            D=1
            E=1
        "#]],
    );
}

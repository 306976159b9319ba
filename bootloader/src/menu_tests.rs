use super::*;
use crate::generation::BootFiles;
use crate::options::{Serial, Timeout};
use cairn_system::{Bootspec, BootspecV1, Memtest, MenuUser};
use expect_test::{Expect, expect};
use std::collections::BTreeMap;

fn bootspec(label: &str, params: &[&str], specialisations: &[&str]) -> Bootspec {
    Bootspec {
        v1: BootspecV1 {
            init: "/nix/store/t/init".to_owned(),
            initrd: None,
            initrd_secrets: None,
            kernel: "/nix/store/k/bzImage".to_owned(),
            kernel_params: params.iter().map(|param| (*param).to_owned()).collect(),
            label: label.to_owned(),
            system: "x86_64-linux".to_owned(),
            toplevel: "/nix/store/t".to_owned(),
        },
        specialisations: specialisations
            .iter()
            .map(|name| ((*name).to_owned(), bootspec(label, &["special"], &[])))
            .collect(),
        menu: None,
    }
}

fn files(name: &str) -> BootFiles {
    BootFiles {
        kernel: format!("/boot/kernels/{name}-vmlinuz"),
        initrd: Some(format!("/boot/kernels/{name}-initrd")),
    }
}

fn generation(number: u64, label: &str, params: &[&str], special: &[&str]) -> Generation {
    let special_files: BTreeMap<_, _> = special
        .iter()
        .map(|name| ((*name).to_owned(), files("s")))
        .collect();
    let bootspec = bootspec(label, params, special);
    let date = 1_795_336_200 + 86_400 * i64::try_from(number).unwrap();
    Generation::new(number, date, "6.1.0", &bootspec, files("k"), &special_files).unwrap()
}

fn id(text: &str) -> Option<EntryId> {
    Some(text.parse().unwrap())
}

fn check(generations: &[Generation], options: &Options, wanted: &Expect) {
    let menu = entries(generations, options);
    wanted.assert_eq(&format!(
        "{}== generations\n{}",
        menu.text, menu.generations
    ));
}

#[test]
fn no_generation() {
    check(
        &[],
        &Options::default(),
        &expect![[r#"
        set timeout=5
        echo 'There is no generation to boot.'
        == generations
    "#]],
    );
}

#[test]
fn generations_in_any_order() {
    let generations = [
        generation(9, "old", &["quiet"], &[]),
        generation(10, "new", &["quiet", "console=ttyS0,115200"], &["debug"]),
    ];
    check(
        &generations,
        &Options::default(),
        &expect![[r#"
            set timeout=5
            set cairn_good='10'
            set cairn_trial=
            set cairn_tries=
            set cairn_once=
            set cairn_saved=
            load_env cairn_good cairn_trial cairn_tries cairn_once cairn_saved
            if [ -z "$cairn_good" ]; then
              set cairn_good='10'
            fi
            set cairn_pick=
            set cairn_why=
            set default='generation-10'
            if [ -n "$cairn_once" ]; then
              set cairn_pick="$cairn_once"
              set cairn_title=', this once'
              set cairn_once=
              if save_env cairn_once; then
                set cairn_once=kept
                load_env cairn_once
              else
                set cairn_once=kept
              fi
              if [ -n "$cairn_once" ]; then
                echo "Generation $cairn_pick is not booted: the disk would boot it for ever."
                set cairn_pick=
              fi
            fi
            if [ -z "$cairn_pick" ]; then
              if [ "$cairn_good" != '10' ]; then
                set cairn_pick="$cairn_good"
                set cairn_title=
              fi
            fi
            if [ -n "$cairn_pick" ]; then
              set default=picked
            fi
            if [ "$default" != 'generation-10' -a "$timeout" != -1 ]; then
              set fallback='generation-10'
            fi
            menuentry 'Cairn, generation 10 (new)' --id generation-10 --unrestricted {
              linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet' 'console=ttyS0,115200' 'cairn.generation=10' $cairn_why
              initrd '/boot/kernels/k-initrd'
            }
            menuentry 'Cairn, specialisation debug, generation 10 (new)' --id generation-10-debug --unrestricted {
              linux '/boot/kernels/s-vmlinuz' 'init=/nix/store/t/init' 'special' 'cairn.generation=10-debug'
              initrd '/boot/kernels/s-initrd'
            }
            if [ -n "$cairn_pick" ]; then
              export cairn_pick cairn_slot
              submenu 'Cairn, generation '"$cairn_pick$cairn_title" --id picked --unrestricted {
                set fallback=generation-10
                source "$prefix/generations-$cairn_slot.cfg"
                menuentry 'Cairn, generation 10' --id generation-10 --unrestricted {
                  linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet' 'console=ttyS0,115200' 'cairn.generation=10'
                  initrd '/boot/kernels/k-initrd'
                }
              }
            fi
            export cairn_slot cairn_hashsum
            submenu 'Cairn, all generations' --id all {
              set cairn_pick=
              if [ "$cairn_hashsum" = yes ]; then
                hashsum --hash sha256 --check "$prefix/generations-$cairn_slot.sum" --prefix "$prefix"
              fi
              source "$prefix/generations-$cairn_slot.cfg"
            }
            == generations
            if [ -z "$cairn_pick" -o "$cairn_pick" = '10' ]; then
            menuentry '10, 2026-12-02 08:30 UTC, Linux 6.1.0, new' --id generation-10 --unrestricted {
              linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet' 'console=ttyS0,115200' 'cairn.generation=10'
              initrd '/boot/kernels/k-initrd'
            }
            fi
            if [ -z "$cairn_pick" -o "$cairn_pick" = '10-debug' ]; then
            menuentry '10, specialisation debug, 2026-12-02 08:30 UTC, new' --id generation-10-debug --unrestricted {
              linux '/boot/kernels/s-vmlinuz' 'init=/nix/store/t/init' 'special' 'cairn.generation=10-debug'
              initrd '/boot/kernels/s-initrd'
            }
            fi
            if [ -z "$cairn_pick" -o "$cairn_pick" = '9' ]; then
            menuentry '9, 2026-12-01 08:30 UTC, Linux 6.1.0, old' --id generation-9 --unrestricted {
              linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet' 'cairn.generation=9'
              initrd '/boot/kernels/k-initrd'
            }
            fi
        "#]],
    );
}

#[test]
fn a_generation_on_trial() {
    let generations = [
        generation(12, "old", &[], &[]),
        generation(13, "new", &["quiet"], &["debug"]),
    ];
    let options = Options {
        good: id("12"),
        trial: id("13"),
        ..Options::default()
    };
    check(
        &generations,
        &options,
        &expect![[r#"
            set timeout=5
            set cairn_good='12'
            set cairn_trial=
            set cairn_tries=
            set cairn_once=
            set cairn_saved=
            load_env cairn_good cairn_trial cairn_tries cairn_once cairn_saved
            if [ -z "$cairn_good" ]; then
              set cairn_good='12'
            fi
            set cairn_pick=
            set cairn_why=
            set default='generation-12'
            if [ -n "$cairn_once" ]; then
              set cairn_pick="$cairn_once"
              set cairn_title=', this once'
              set cairn_once=
              if save_env cairn_once; then
                set cairn_once=kept
                load_env cairn_once
              else
                set cairn_once=kept
              fi
              if [ -n "$cairn_once" ]; then
                echo "Generation $cairn_pick is not booted: the disk would boot it for ever."
                set cairn_pick=
              fi
            fi
            if [ -z "$cairn_pick" ]; then
              if [ "$cairn_good" = '13' ]; then
                set default=generation-13
              elif [ "$cairn_trial" = '13' -a "$cairn_tries" -gt 0 ]; then
                set default=trial
              elif [ "$cairn_good" != '12' ]; then
                set cairn_pick="$cairn_good"
                set cairn_title=
              fi
            fi
            if [ -n "$cairn_pick" ]; then
              set default=picked
            fi
            if [ "$default" != 'generation-12' -a "$timeout" != -1 ]; then
              set fallback='generation-12'
            fi
            if [ "$cairn_good" = '13' ]; then
              menuentry 'Cairn, generation 13 (new)' --id generation-13 --unrestricted {
                linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet' 'cairn.generation=13'
                initrd '/boot/kernels/k-initrd'
              }
              menuentry 'Cairn, specialisation debug, generation 13 (new)' --id generation-13-debug --unrestricted {
                linux '/boot/kernels/s-vmlinuz' 'init=/nix/store/t/init' 'special' 'cairn.generation=13-debug'
                initrd '/boot/kernels/s-initrd'
              }
              menuentry 'Cairn, generation 12 (old)' --id generation-12 --unrestricted {
                linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'cairn.generation=12' $cairn_why
                initrd '/boot/kernels/k-initrd'
              }
            else
              menuentry 'Cairn, generation 12 (old)' --id generation-12 --unrestricted {
                linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'cairn.generation=12' $cairn_why
                initrd '/boot/kernels/k-initrd'
              }
              set cairn_state='not yet booted'
              if [ "$cairn_trial" = '13' ]; then
                set cairn_state='failed its trial'
                if [ "$cairn_tries" -gt 0 ]; then
                  set cairn_state='on trial'
                fi
              fi
              menuentry 'Cairn, generation 13, '"$cairn_state"' (new)' --id trial --unrestricted {
                set cairn_left=
                if [ "$cairn_tries" = 1 ]; then
                  set cairn_left=0
                elif [ "$cairn_tries" = 2 ]; then
                  set cairn_left=1
                elif [ "$cairn_tries" = 3 ]; then
                  set cairn_left=2
                elif [ "$cairn_tries" = 4 ]; then
                  set cairn_left=3
                elif [ "$cairn_tries" = 5 ]; then
                  set cairn_left=4
                elif [ "$cairn_tries" = 6 ]; then
                  set cairn_left=5
                elif [ "$cairn_tries" = 7 ]; then
                  set cairn_left=6
                elif [ "$cairn_tries" = 8 ]; then
                  set cairn_left=7
                elif [ "$cairn_tries" = 9 ]; then
                  set cairn_left=8
                fi
                set cairn_go=cairn.fallback=uncounted
                if [ "$cairn_trial" = '13' -a -n "$cairn_left" ]; then
                  set cairn_tries=$cairn_left
                  if save_env cairn_tries; then
                    set cairn_tries=
                    load_env cairn_tries
                    if [ "$cairn_tries" = "$cairn_left" ]; then
                      set cairn_go=counted
                    fi
                  fi
                fi
                if [ $cairn_go = counted -o -z "$fallback" ]; then
                  set cairn_go=sound
                  if [ ! -s '/boot/kernels/k-vmlinuz' ]; then
                    set cairn_go=damaged
                  elif [ "$cairn_hashsum" = yes -a -s '/boot/kernels/k-vmlinuz.sha256' ]; then
                    if hashsum --hash sha256 --check '/boot/kernels/k-vmlinuz.sha256' --prefix '/boot/kernels'; then
                      true
                    else
                      set cairn_go=damaged
                    fi
                  fi
                  if [ ! -s '/boot/kernels/k-initrd' ]; then
                    set cairn_go=damaged
                  elif [ "$cairn_hashsum" = yes -a -s '/boot/kernels/k-initrd.sha256' ]; then
                    if hashsum --hash sha256 --check '/boot/kernels/k-initrd.sha256' --prefix '/boot/kernels'; then
                      true
                    else
                      set cairn_go=damaged
                    fi
                  fi
                  if [ $cairn_go = damaged ]; then
                    echo 'Not booted: its kernel or initrd is damaged.'
                    set cairn_go=cairn.fallback=damaged
                    set cairn_tries=0
                    save_env cairn_tries
                  fi
                else
                  echo 'Not booted: its tries cannot be counted.'
                fi
                if [ $cairn_go = sound ]; then
                  linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet' 'cairn.generation=13' 'cairn.trial=13'
                  initrd '/boot/kernels/k-initrd'
                else
                  set cairn_why=$cairn_go
                fi
              }
            fi
            if [ -n "$cairn_pick" ]; then
              export cairn_pick cairn_slot
              submenu 'Cairn, generation '"$cairn_pick$cairn_title" --id picked --unrestricted {
                set fallback=generation-12
                source "$prefix/generations-$cairn_slot.cfg"
                menuentry 'Cairn, generation 12' --id generation-12 --unrestricted {
                  linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'cairn.generation=12'
                  initrd '/boot/kernels/k-initrd'
                }
              }
            fi
            export cairn_slot cairn_hashsum
            submenu 'Cairn, all generations' --id all {
              set cairn_pick=
              if [ "$cairn_hashsum" = yes ]; then
                hashsum --hash sha256 --check "$prefix/generations-$cairn_slot.sum" --prefix "$prefix"
              fi
              source "$prefix/generations-$cairn_slot.cfg"
            }
            == generations
            if [ -z "$cairn_pick" -o "$cairn_pick" = '13' ]; then
            menuentry '13, 2026-12-05 08:30 UTC, Linux 6.1.0, new' --id generation-13 --unrestricted {
              linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet' 'cairn.generation=13'
              initrd '/boot/kernels/k-initrd'
            }
            fi
            if [ -z "$cairn_pick" -o "$cairn_pick" = '13-debug' ]; then
            menuentry '13, specialisation debug, 2026-12-05 08:30 UTC, new' --id generation-13-debug --unrestricted {
              linux '/boot/kernels/s-vmlinuz' 'init=/nix/store/t/init' 'special' 'cairn.generation=13-debug'
              initrd '/boot/kernels/s-initrd'
            }
            fi
            if [ -z "$cairn_pick" -o "$cairn_pick" = '12' ]; then
            menuentry '12, 2026-12-04 08:30 UTC, Linux 6.1.0, old' --id generation-12 --unrestricted {
              linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'cairn.generation=12'
              initrd '/boot/kernels/k-initrd'
            }
            fi
        "#]],
    );
}

#[test]
fn everything_that_can_be_asked_for() {
    let generations = [generation(1, "one", &[], &[])];
    let hash = "grub.pbkdf2.sha512.10000.AA.BB".to_owned();
    let options = Options {
        timeout: Timeout::Seconds(0),
        serial: Some(Serial::COM1),
        default: DefaultEntry::Saved,
        debug_entry: true,
        users: vec![
            ("root".to_owned(), MenuUser::HashedPassword(hash)),
            ("o'b".to_owned(), MenuUser::Password("$x".to_owned())),
        ],
        memtest: Some(Memtest {
            bios: "/boot/m.bin".to_owned(),
            uefi: "/boot/m.efi".to_owned(),
            params: vec!["nosmp".to_owned()],
        }),
        extra_config: "set color_normal=light-blue/black".to_owned(),
        extra_entries: "menuentry 'Another' { chainloader (hd0,4)+1 }".to_owned(),
        extra_place: ExtraPlace::First,
        ..Options::default()
    };
    check(
        &generations,
        &options,
        &expect![[r#"
            serial --unit=0 --speed=115200
            terminal_input console serial
            terminal_output console serial
            set superusers='root o'\''b'
            export superusers
            password_pbkdf2 'root' 'grub.pbkdf2.sha512.10000.AA.BB'
            password 'o'\''b' '$x'
            set timeout=0
            set timeout_style=hidden
            if keystatus --shift; then
              set timeout=-1
            fi
            set color_normal=light-blue/black
            menuentry 'Another' { chainloader (hd0,4)+1 }
            set cairn_good='1'
            set cairn_trial=
            set cairn_tries=
            set cairn_once=
            set cairn_saved=
            load_env cairn_good cairn_trial cairn_tries cairn_once cairn_saved
            if [ -z "$cairn_good" ]; then
              set cairn_good='1'
            fi
            set cairn_pick=
            set cairn_why=
            set default='generation-1'
            if [ -n "$cairn_once" ]; then
              set cairn_pick="$cairn_once"
              set cairn_title=', this once'
              set cairn_once=
              if save_env cairn_once; then
                set cairn_once=kept
                load_env cairn_once
              else
                set cairn_once=kept
              fi
              if [ -n "$cairn_once" ]; then
                echo "Generation $cairn_pick is not booted: the disk would boot it for ever."
                set cairn_pick=
              fi
            fi
            if [ -z "$cairn_pick" ]; then
              if regexp '^[0-9]+(-.*)?$' "$cairn_saved"; then
                set cairn_pick="$cairn_saved"
                set cairn_title=', chosen last'
              elif [ -n "$cairn_saved" ]; then
                set default="$cairn_saved"
              elif [ "$cairn_good" != '1' ]; then
                set cairn_pick="$cairn_good"
                set cairn_title=
              fi
            fi
            if [ -n "$cairn_pick" ]; then
              set default=picked
            fi
            if [ "$default" != 'generation-1' -a "$timeout" != -1 ]; then
              set fallback='generation-1'
            fi
            menuentry 'Cairn, generation 1 (one)' --id generation-1 --unrestricted {
              set cairn_saved=
              save_env cairn_saved
              linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'cairn.generation=1' $cairn_why
              initrd '/boot/kernels/k-initrd'
            }
            if [ -n "$cairn_pick" ]; then
              export cairn_pick cairn_slot
              submenu 'Cairn, generation '"$cairn_pick$cairn_title" --id picked --unrestricted {
                set fallback=generation-1
                source "$prefix/generations-$cairn_slot.cfg"
                menuentry 'Cairn, generation 1' --id generation-1 --unrestricted {
                  linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'cairn.generation=1'
                  initrd '/boot/kernels/k-initrd'
                }
              }
            fi
            export cairn_slot cairn_hashsum
            submenu 'Cairn, all generations' --id all {
              set cairn_pick=
              if [ "$cairn_hashsum" = yes ]; then
                hashsum --hash sha256 --check "$prefix/generations-$cairn_slot.sum" --prefix "$prefix"
              fi
              source "$prefix/generations-$cairn_slot.cfg"
            }
            menuentry 'Cairn, generation 1, with messages and a shell on failure' --id debug {
              linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'cairn.generation=1' 'boot.shell_on_fail' 'boot.trace' 'loglevel=7'
              initrd '/boot/kernels/k-initrd'
            }
            menuentry 'Memory test' --id memtest --unrestricted {
              if [ "$grub_platform" = efi ]; then
                linux '/boot/m.efi' 'nosmp' 'console=ttyS0,115200'
              else
                linux '/boot/m.bin' 'nosmp' 'console=ttyS0,115200'
              fi
            }
            == generations
            if [ -z "$cairn_pick" -o "$cairn_pick" = '1' ]; then
            menuentry '1, 2026-11-23 08:30 UTC, Linux 6.1.0, one' --id generation-1 --unrestricted {
              if [ -z "$cairn_pick" ]; then
                set cairn_saved='1'
                save_env cairn_saved
              fi
              linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'cairn.generation=1'
              initrd '/boot/kernels/k-initrd'
            }
            fi
        "#]],
    );
}

#[test]
fn hostile_labels_and_parameters() {
    let generations = [generation(
        1,
        "it's ${x} $(y) \"z\" } ; {\n}\u{1b}[2J",
        &["a=$b", "c={;}", "d=\"e f\" #g"],
        &["' --id 'newest"],
    )];
    check(
        &generations,
        &Options::default(),
        &expect![[r#"
            set timeout=5
            set cairn_good='1'
            set cairn_trial=
            set cairn_tries=
            set cairn_once=
            set cairn_saved=
            load_env cairn_good cairn_trial cairn_tries cairn_once cairn_saved
            if [ -z "$cairn_good" ]; then
              set cairn_good='1'
            fi
            set cairn_pick=
            set cairn_why=
            set default='generation-1'
            if [ -n "$cairn_once" ]; then
              set cairn_pick="$cairn_once"
              set cairn_title=', this once'
              set cairn_once=
              if save_env cairn_once; then
                set cairn_once=kept
                load_env cairn_once
              else
                set cairn_once=kept
              fi
              if [ -n "$cairn_once" ]; then
                echo "Generation $cairn_pick is not booted: the disk would boot it for ever."
                set cairn_pick=
              fi
            fi
            if [ -z "$cairn_pick" ]; then
              if [ "$cairn_good" != '1' ]; then
                set cairn_pick="$cairn_good"
                set cairn_title=
              fi
            fi
            if [ -n "$cairn_pick" ]; then
              set default=picked
            fi
            if [ "$default" != 'generation-1' -a "$timeout" != -1 ]; then
              set fallback='generation-1'
            fi
            menuentry 'Cairn, generation 1 (it'\''s ${x} $(y) "z" } ; {?}?[2J)' --id generation-1 --unrestricted {
              linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'a=$b' 'c={;}' 'd=e f' '#g' 'cairn.generation=1' $cairn_why
              initrd '/boot/kernels/k-initrd'
            }
            menuentry 'Cairn, specialisation '\'' --id '\''newest, generation 1 (it'\''s ${x} $(y) "z" } ; {?}?[2J)' --id generation-1-%27%20--id%20%27newest --unrestricted {
              linux '/boot/kernels/s-vmlinuz' 'init=/nix/store/t/init' 'special' 'cairn.generation=1-%27%20--id%20%27newest'
              initrd '/boot/kernels/s-initrd'
            }
            if [ -n "$cairn_pick" ]; then
              export cairn_pick cairn_slot
              submenu 'Cairn, generation '"$cairn_pick$cairn_title" --id picked --unrestricted {
                set fallback=generation-1
                source "$prefix/generations-$cairn_slot.cfg"
                menuentry 'Cairn, generation 1' --id generation-1 --unrestricted {
                  linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'a=$b' 'c={;}' 'd=e f' '#g' 'cairn.generation=1'
                  initrd '/boot/kernels/k-initrd'
                }
              }
            fi
            export cairn_slot cairn_hashsum
            submenu 'Cairn, all generations' --id all {
              set cairn_pick=
              if [ "$cairn_hashsum" = yes ]; then
                hashsum --hash sha256 --check "$prefix/generations-$cairn_slot.sum" --prefix "$prefix"
              fi
              source "$prefix/generations-$cairn_slot.cfg"
            }
            == generations
            if [ -z "$cairn_pick" -o "$cairn_pick" = '1' ]; then
            menuentry '1, 2026-11-23 08:30 UTC, Linux 6.1.0, it'\''s ${x} $(y) "z" } ; {?}?[2J' --id generation-1 --unrestricted {
              linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'a=$b' 'c={;}' 'd=e f' '#g' 'cairn.generation=1'
              initrd '/boot/kernels/k-initrd'
            }
            fi
            if [ -z "$cairn_pick" -o "$cairn_pick" = '1-%27%20--id%20%27newest' ]; then
            menuentry '1, specialisation '\'' --id '\''newest, 2026-11-23 08:30 UTC, it'\''s ${x} $(y) "z" } ; {?}?[2J' --id generation-1-%27%20--id%20%27newest --unrestricted {
              linux '/boot/kernels/s-vmlinuz' 'init=/nix/store/t/init' 'special' 'cairn.generation=1-%27%20--id%20%27newest'
              initrd '/boot/kernels/s-initrd'
            }
            fi
        "#]],
    );
}

/// Who is good and who is on trial, by what the options name.
#[test]
fn parts() {
    let generations = [
        generation(1, "one", &[], &[]),
        generation(2, "two", &[], &["s"]),
        generation(3, "three", &[], &[]),
    ];
    let sorted: Vec<_> = generations.iter().rev().collect();
    for (good, trial, wanted) in [
        (None, None, ("3", None)),
        (None, id("3"), ("2", Some("3"))),
        (id("1"), id("3"), ("1", Some("3"))),
        (id("2-s"), id("2"), ("2-s", Some("2"))),
        // What is not there plays no part.
        (id("7"), id("2-t"), ("3", None)),
        (id("2"), id("2"), ("2", None)),
    ] {
        let options = Options {
            good,
            trial,
            ..Options::default()
        };
        let cast = Cast::new(&sorted, &options).unwrap();
        let trial = cast.trial.map(|trial| trial.id.to_string());
        assert_eq!(
            (cast.good.id.to_string().as_str(), trial.as_deref()),
            wanted
        );
    }
}

#[test]
fn the_limit_leaves_out_old_ones_without_a_part() {
    let generations: Vec<_> = (1..=9)
        .map(|number| generation(number, "x", &[], &[]))
        .collect();
    let options = Options {
        good: id("2"),
        configuration_limit: 3,
        ..Options::default()
    };
    let menu = entries(&generations, &options);
    let listed: Vec<_> = menu
        .generations
        .lines()
        .filter_map(|line| line.strip_prefix("menuentry '"))
        .filter_map(|line| line.split(',').next())
        .collect();
    assert_eq!(listed, ["9", "8", "7", "2"]);
}

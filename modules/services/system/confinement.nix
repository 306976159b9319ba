# What the processes of a service are kept from.
{ lib }:
let
  inherit (lib) mkOption types;
  inherit (import ./fields.nix { inherit lib; }) flag list nullable;

  path =
    description:
    mkOption {
      type = path';
      inherit description;
    };
  path' = types.strMatching "/.*";
  entries = options: types.listOf (types.submodule { inherit options; });
in
{
  own =
    list
      (types.enum [
        "temporary-files"
        "devices"
        "network"
        "ipc"
        "host-name"
        "users"
        "mounts"
      ])
      ''
        What it has for itself: `temporary-files`, a `/tmp` and a `/var/tmp` that are removed when it has
        stopped; `devices`, a `/dev` with pseudo-devices alone; `network`, a loopback interface alone; `ipc`,
        message queues and shared memory; `host-name`; `users`, of which it sees root and its own; `mounts`.
      '';

  joins = list types.str ''
    Services whose `temporary-files`, `network` and `ipc` are also its own, as far as both have them for themselves;
    what shares with one of them shares with all.
  '';

  paths = mkOption {
    type = entries {
      path = path "Where.";
      access = mkOption {
        type = types.enum [
          "read-only"
          "read-write"
          "inaccessible"
          "executable"
          "not-executable"
        ];
        description = "What it may do there, beside what owner and mode allow.";
      };
      optional = flag "Whether the path need not exist.";
    };
    default = [ ];
    example = [
      {
        path = "/";
        access = "read-only";
      }
    ];
    description = ''
      What it may do where. The deepest rule counts, and of two for the same path the later one. Its own
      {option}`directories` can be written to all the same.
    '';
  };

  mounts = mkOption {
    type = entries {
      source = nullable (types.strMatching "/.*") "What is seen there; an empty file system in memory if there is none.";
      target = path "Where it is seen.";
      readOnly = flag "Whether it may only be read.";
      flat = flag "Whether what is mounted below the source is left out.";
      optional = flag "Whether the source need not exist.";
      options = mkOption {
        type = types.str;
        default = "";
        example = "size=10M,mode=0755";
        description = "Options of a file system in memory.";
      };
    };
    default = [ ];
    description = ''
      What it alone sees at a path. What it sees at `/` is its root: the names in the source, or none. Its top is
      in memory, where places for other mounts are made; in the folders of the source they must be there.
    '';
  };

  closures = list path' "Files with an object of the store on each line, which it sees in its own root.";

  processes = {
    visible = mkOption {
      type = types.enum [
        "all"
        "no-access"
        "own"
        "traceable"
      ];
      default = "all";
      description = "Which processes `/proc` shows it.";
    };
    onlyProcesses = flag "Whether `/proc` shows it nothing of the kernel.";
  };

  droppedCapabilities = list types.str "Capabilities that it can never have.";

  systemCalls = mkOption {
    type = entries {
      entries = mkOption {
        type = types.nonEmptyListOf types.str;
        example = [
          "@system-service"
          "~@privileged"
        ];
        description = ''
          Calls and groups of calls, as in {manpage}`systemd.exec(5)`. If the first one begins with `~`, what
          is named is refused; otherwise everything else is.
        '';
      };
      errno = nullable types.str "With which error a call is refused; if there is none, the process is killed.";
    };
    default = [ ];
    description = "Filters of system calls, of which the strictest counts.";
  };

  addressFamilies = nullable (types.submodule {
    options = {
      only = nullable (types.listOf types.str) "These.";
      except = nullable (types.listOf types.str) "All but these.";
    };
  }) "Which sockets it may make, such as `AF_UNIX`.";

  namespaces = nullable (types.listOf (
    types.enum [
      "cgroup"
      "ipc"
      "net"
      "mnt"
      "pid"
      "user"
      "uts"
      "time"
    ]
  )) "Which namespaces it may make or enter.";

  forbidden =
    list
      (types.enum [
        "real-time"
        "set-id-files"
        "personality"
        "writable-code"
        "other-architectures"
      ])
      ''
        What else it may not do: be scheduled in real time; make setuid or setgid files; change what the kernel
        looks like; have memory that is written and executed; execute programs of another architecture.
      '';

  devices = nullable (types.submodule {
    options = {
      allowed = list types.str "Those: `/dev/null rw`, `/dev/sd* r`, or a kind and a driver of `/proc/devices`, such as `char-pts` and `block-*`.";
      optional = flag "Whether the service starts all the same where the kernel sets no such bounds.";
    };
  }) "Devices that it may use; without it, all that its user may.";

  addresses = {
    allowed = list types.str "Ranges of addresses that it may exchange packets with whatever is denied: `10.0.0.0/8`.";
    denied = list types.str "Ranges that it may not.";
  };
}

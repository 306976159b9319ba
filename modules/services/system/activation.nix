# What a service of kind `socket` listens on, and what one of kind `path` waits for.
{ lib }:
let
  inherit (lib) mkOption types;
  inherit (import ./fields.nix { inherit lib; }) flag nullable;

  mode =
    default: description:
    mkOption {
      type = types.strMatching "0?[0-7]{3,4}";
      inherit default description;
    };
  one =
    kinds: description:
    types.addCheck (types.attrsOf types.str) (
      entry: lib.length (lib.attrNames entry) == 1 && lib.all (kind: lib.elem kind kinds) (lib.attrNames entry)
    )
    // {
      inherit description;
    };
  service = mkOption {
    type = types.strMatching "[[:alnum:]][[:alnum:]_.@:-]{0,63}";
    description = "What is started; with `accept`, the template of the services of single connections.";
  };
in
{
  socket = nullable (types.submodule {
    options = {
      inherit service;
      listen = mkOption {
        type = types.listOf (
          one [
            "stream"
            "datagram"
            "sequential-packet"
            "fifo"
            "special"
            "netlink"
          ] "one of stream, datagram, sequential-packet, fifo, special and netlink, with its address"
        );
        description = ''
          What is listened on, in the order in which the service is given it: `{ stream = "8080"; }`,
          `{ datagram = "127.0.0.1:53"; }`, `{ stream = "/run/x.socket"; }`, `{ stream = "@name"; }`,
          `{ netlink = "kobject-uevent 1"; }`.
        '';
      };
      accept = flag "Whether each connection is taken here, for a service of its own.";
      maxConnections = mkOption {
        type = types.ints.u32;
        default = 64;
        description = "Connections that are served at once with {option}`accept`.";
      };
      maxConnectionsPerSource = mkOption {
        type = types.ints.u32;
        default = 0;
        description = "The same for each address, or user of this machine; 0 is no bound.";
      };
      descriptorName = nullable types.str "What the service is told that they are called (`LISTEN_FDNAMES`).";
      backlog = nullable types.ints.u32 "Connections that wait to be taken; as many as the kernel allows if there is none.";
      ipv6Only = nullable types.bool "Whether a port of all IPv6 addresses is none of IPv4's; the kernel's setting if there is none.";
      freeBind = flag "Whether addresses need not exist yet.";
      reusePort = flag "Whether others may listen on the same port.";
      keepAlive = flag "Whether connections are probed while nothing is said.";
      noDelay = flag "Whether what is written is sent at once.";
      passCredentials = flag "Whether messages come with their sender's process and user.";
      mode = mode "0666" "Permission bits of files, in octal.";
      directoryMode = mode "0755" "The same for directories that are made on the way to them.";
      user = nullable types.str "Owner of the files; root if there is none.";
      group = nullable types.str "Their group; the user's own if there is none.";
      links = mkOption {
        type = types.listOf (types.strMatching "[/%].+");
        default = [ ];
        description = "Links to the file, of which there has to be one.";
      };
    };
  }) "What a `socket` listens on.";

  watch = nullable (types.submodule {
    options = {
      inherit service;
      paths = mkOption {
        type = types.listOf (
          one [
            "exists"
            "exists-glob"
            "changed"
            "modified"
            "not-empty"
          ] "one of exists, exists-glob, changed, modified and not-empty, with its path"
        );
        description = ''
          What is waited for: `{ exists = "/run/x"; }`, `{ exists-glob = "/srv/in/*.job"; }`,
          `{ changed = "/etc/x"; }`, `{ modified = "/etc/x"; }`, `{ not-empty = "/srv/in"; }`. What exists
          starts the service again when it is down; of changes, those count that come while it is down.
        '';
      };
      makeDirectories = flag "Whether directories that are watched are made first.";
      directoryMode = mode "0755" "Their permission bits, in octal.";
    };
  }) "What a `path` waits for.";

  # As `system.json` has it.
  describe = {
    socket =
      given:
      if given == null then
        null
      else
        {
          inherit (given) service listen;
        }
        //
          lib.filterAttrs
            (
              key: value:
              value != null
              && value != false
              && value != [ ]
              && value != 0
              && !(key == "maxConnections" && value == 64)
              && !(key == "mode" && value == "0666")
              && !(key == "directoryMode" && value == "0755")
            )
            {
              inherit (given)
                accept
                maxConnections
                maxConnectionsPerSource
                descriptorName
                backlog
                freeBind
                reusePort
                keepAlive
                noDelay
                passCredentials
                mode
                directoryMode
                user
                group
                links
                ;
            }
        // lib.optionalAttrs (given.ipv6Only != null) { inherit (given) ipv6Only; };
    watch =
      given:
      if given == null then
        null
      else
        {
          inherit (given) service paths;
        }
        // lib.optionalAttrs given.makeDirectories { makeDirectories = true; }
        // lib.optionalAttrs (given.directoryMode != "0755") { inherit (given) directoryMode; };
  };
}

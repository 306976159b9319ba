# The clock, kept by chrony.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkIf
    mkOption
    types
    ;
  cfg = config.services.chrony;
  simple = config.services.timesyncd;

  configuration = pkgs.writeText "chrony.conf" ''
    ${lib.concatMapStrings (server: "${cfg.serverKind} ${server} ${cfg.serverOption}\n") cfg.servers}
    ${lib.optionalString (
      cfg.initstepslew.enabled && cfg.servers != [ ]
    ) "initstepslew ${toString cfg.initstepslew.threshold} ${lib.concatStringsSep " " cfg.servers}"}
    ${lib.optionalString (
      cfg.makestep.enable && !cfg.initstepslew.enabled
    ) "makestep ${toString cfg.makestep.threshold} ${toString cfg.makestep.limit}"}
    driftfile ${cfg.directory}/chrony.drift
    keyfile ${cfg.directory}/chrony.keys
    dumpdir ${cfg.directory}
    ${lib.optionalString cfg.enableRTCTrimming "rtcautotrim ${toString cfg.autotrimThreshold}\nrtcfile ${cfg.directory}/chrony.rtc"}
    ${lib.optionalString cfg.enableNTS "ntsdumpdir ${cfg.directory}"}
    ${lib.optionalString (!cfg.enableRTCTrimming) "rtcsync"}
    pidfile /run/chrony/chronyd.pid
    ${cfg.extraConfig}
  '';
in
{
  options = {
    networking.timeServers = mkOption {
      type = types.listOf types.str;
      default = [
        "0.pool.ntp.org"
        "1.pool.ntp.org"
        "2.pool.ntp.org"
        "3.pool.ntp.org"
      ];
      description = "Servers that are asked for the time.";
    };

    services.timesyncd = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the clock is kept; chrony does it, as {option}`services.chrony.enable`.";
      };
      servers = mkOption {
        type = types.nullOr (types.listOf types.str);
        default = null;
        description = "As {option}`services.chrony.servers`.";
      };
    };

    services.chrony = {
      enable = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether chrony keeps the clock.";
      };
      package = mkOption {
        type = types.package;
        default = pkgs.chrony;
        defaultText = literalExpression "pkgs.chrony";
        description = "The package with chrony.";
      };
      servers = mkOption {
        type = types.listOf types.str;
        default = config.networking.timeServers;
        defaultText = literalExpression "config.networking.timeServers";
        description = "Servers that are asked for the time.";
      };
      serverOption = mkOption {
        type = types.enum [
          "iburst"
          "offline"
        ];
        default = "iburst";
        description = "`iburst` asks several times at the start; `offline` waits until it is told that there is a network.";
      };
      serverKind = mkOption {
        type = types.enum [
          "server"
          "pool"
        ];
        default = "server";
        internal = true;
        description = "What the names stand for.";
      };
      enableNTS = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the servers prove who they are (NTS).";
      };
      enableMemoryLocking = mkOption {
        type = types.bool;
        default = false;
        description = "Whether its memory is never swapped out.";
      };
      enableRTCTrimming = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the drift of the hardware's clock is corrected; otherwise it is set now and then.";
      };
      autotrimThreshold = mkOption {
        type = types.ints.positive;
        default = 30;
        description = "Seconds by which it may be wrong.";
      };
      makestep = {
        enable = mkOption {
          type = types.bool;
          default = true;
          description = "Whether a clock that is far off is set at once, soon after the start.";
        };
        threshold = mkOption {
          type = types.either types.float types.int;
          default = 1;
          description = "Seconds that are far.";
        };
        limit = mkOption {
          type = types.int;
          default = 3;
          description = "How often that may happen.";
        };
      };
      initstepslew = {
        enabled = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the clock is set before chrony serves others.";
        };
        threshold = mkOption {
          type = types.either types.float types.int;
          default = 1000;
          description = "Seconds from which on it is set at once.";
        };
      };
      directory = mkOption {
        type = types.str;
        default = "/var/lib/chrony";
        description = "Where it keeps what it has learnt.";
      };
      extraConfig = mkOption {
        type = types.lines;
        default = "";
        example = "allow 192.0.2.0/24";
        description = "Further lines of {manpage}`chrony.conf(5)`.";
      };
      extraFlags = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "-s" ];
        description = "Further arguments of {manpage}`chronyd(8)`.";
      };
    };
  };

  config = lib.mkMerge [
    (mkIf simple.enable {
      services.chrony.enable = true;
      services.chrony.servers = mkIf (simple.servers != null) simple.servers;
    })
    (mkIf cfg.enable {
      services.chrony.serverOption = mkIf cfg.enableNTS (lib.mkDefault "iburst");
      services.chrony.extraFlags = lib.optional cfg.enableMemoryLocking "-m";
      environment.systemPackages = [ cfg.package ];
      environment.etc."chrony/chrony.conf".source = configuration;
      users.users.chrony = {
        isSystemUser = true;
        group = "chrony";
        description = "Clock keeper";
      };
      users.groups.chrony = { };
      system.services.chronyd = {
        description = "Clock";
        process.argv = [
          "${cfg.package}/bin/chronyd"
          "-d"
          "-u"
          "chrony"
          "-f"
          configuration
        ]
        ++ cfg.extraFlags;
        directories = [
          {
            path = "/run/chrony";
            mode = "0750";
            root = true;
          }
        ];
        # Its own user writes there.
        preStart = [
          [
            "${pkgs.coreutils}/bin/install"
            "-d"
            "-m"
            "0750"
            "-o"
            "chrony"
            "-g"
            "chrony"
            "/run/chrony"
            cfg.directory
          ]
          [
            "${pkgs.coreutils}/bin/touch"
            "${cfg.directory}/chrony.keys"
          ]
        ];
        after = [ "network.target" ];
        before = [ "time-sync.target" ];
      };
    })
  ];
}

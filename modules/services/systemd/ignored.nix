# Keys of `serviceConfig` that change nothing here, why, and whether somebody may miss what they say.
#
# Sources: systemd.exec(5), systemd.service(5), systemd.kill(5), systemd.resource-control(5).
{ lib }:
let
  sandbox = "the service runs without this one of its confinements; the others hold";
  journal = "a service's output is its log, under its own name";
  scheduling = "the kernel's default scheduling is kept";
  accounting = "every service has a control group of its own, which counts by itself";
  terminal = "getty resets, hangs up and clears its terminal";

  # Nobody misses them.
  quiet =
    lib.genAttrs [
      "SyslogIdentifier"
      "SyslogFacility"
      "SyslogLevel"
      "SyslogLevelPrefix"
      "LogExtraFields"
      "LogRateLimitIntervalSec"
      "LogRateLimitBurst"
      "LogNamespace"
    ] (_: journal)
    // lib.genAttrs [
      "CPUAccounting"
      "MemoryAccounting"
      "IOAccounting"
      "BlockIOAccounting"
      "TasksAccounting"
      "IPAccounting"
    ] (_: accounting)
    // lib.genAttrs [
      "TTYReset"
      "TTYVHangup"
      "TTYVTDisallocate"
    ] (_: terminal)
    // {
      NotifyAccess = "every process of a service may say that it is ready";
      ManagedOOMSwap = "there is no daemon that watches memory";
      ManagedOOMMemoryPressure = "there is no daemon that watches memory";
      ManagedOOMPreference = "there is no daemon that watches memory";
      UtmpIdentifier = "login writes the record";
      UtmpMode = "login writes the record";
      CoredumpReceive = "the kernel's default is kept";
      BusName = "the service is up when its process is";
    };

  # What they say is not so, unless it is one of these values.
  off = [
    ""
    "0"
    "no"
    "false"
    "off"
  ];
  missed =
    lib.genAttrs [
      "PrivatePIDs"
      "RestrictFileSystems"
      "RestrictNetworkInterfaces"
      "SystemCallLog"
      "SocketBindAllow"
      "SocketBindDeny"
      "SecureBits"
    ] (_: { why = sandbox; so = off; })
    // lib.genAttrs [
      "NUMAPolicy"
      "NUMAMask"
    ] (_: { why = scheduling; so = [ "" "default" ]; })
    // {
      SendSIGHUP = { why = "only services with a terminal hear of a hangup"; so = off; };
      TimerSlackNSec = { why = scheduling; so = [ "" ]; };
      CoredumpFilter = { why = "the kernel's default is kept"; so = [ "" "default" ]; };
      KeyringMode = { why = sandbox; so = [ "" "inherit" ]; };
      Slice = { why = accounting; so = [ "" "system.slice" "-.slice" ]; };
      FinalKillSignal = { why = "what does not stop in time is killed with SIGKILL"; so = [ "" "sigkill" "kill" "9" ]; };
      RestartKillSignal = { why = "a restart stops as a stop does"; so = [ "" ]; };
      RestartMode = {
        why = "a restart goes through no failure: those that need it do not notice";
        so = [ "" "direct" "normal" ];
      };
      TimeoutAbortSec = { why = "what does not end in time is killed, by a watchdog too"; so = [ "" ]; };
      TimeoutStartFailureMode = { why = "a service that is not up in time is stopped as usual"; so = [ "" "terminate" ]; };
      TimeoutStopFailureMode = { why = "a service that does not stop is killed"; so = [ "" "terminate" "kill" ]; };
      WatchdogSignal = { why = "what does not say that it lives is sent SIGABRT"; so = [ "" "sigabrt" "abrt" "6" ]; };
      PAMName = { why = "services open no session"; so = [ "" ]; };
    };
in
{
  # Every key, and why it changes nothing.
  why = quiet // lib.mapAttrs (_: entry: entry.why) missed;

  # Those of these keys that say what is not so, and why.
  missed =
    config:
    lib.mapAttrs (key: _: missed.${key}.why) (
      lib.filterAttrs (
        key: value:
        missed ? ${key}
        && lib.any (word: !(lib.elem (lib.toLower (toString word)) missed.${key}.so)) (
          if value == null then [ ] else lib.toList value
        )
      ) config
    );
}

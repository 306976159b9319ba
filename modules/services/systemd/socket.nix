# A socket unit of systemd's as a portable service of kind `socket`.
#
# Source: systemd.socket(5).
{
  lib,
  scope ? "system",
}:
let
  values = import ./values.nix { inherit lib scope; };
  keys = import ./service-config.nix { inherit lib scope; };
  inherit (values)
    boolean
    integer
    last
    list
    specifiers
    wordsOf
    ;
  inherit (import ./activator.nix { inherit lib scope; }) activator;

  listens = {
    ListenStream = "stream";
    ListenDatagram = "datagram";
    ListenSequentialPacket = "sequential-packet";
    ListenFIFO = "fifo";
    ListenSpecial = "special";
    ListenNetlink = "netlink";
  };
  flags = {
    FreeBind = "freeBind";
    ReusePort = "reusePort";
    KeepAlive = "keepAlive";
    NoDelay = "noDelay";
    PassCredentials = "passCredentials";
  };
  numbers = {
    MaxConnections = "maxConnections";
    MaxConnectionsPerSource = "maxConnectionsPerSource";
    Backlog = "backlog";
  };
  texts = {
    FileDescriptorName = "descriptorName";
    SocketMode = "mode";
    DirectoryMode = "directoryMode";
    SocketUser = "user";
    SocketGroup = "group";
  };
  commands = [
    "ExecStartPre"
    "ExecStartPost"
    "ExecStopPre"
    "ExecStopPost"
  ];
  others = [
    "Accept"
    "BindIPv6Only"
    "Service"
    "Symlinks"
    "TriggerLimitIntervalSec"
    "TriggerLimitBurst"
  ];

  tuning = "the kernel's default is kept";
  ignored =
    lib.genAttrs [
      "ReceiveBuffer"
      "SendBuffer"
      "PipeSize"
      "DeferAcceptSec"
      "KeepAliveTimeSec"
      "KeepAliveIntervalSec"
      "KeepAliveProbes"
      "Priority"
      "IPTOS"
      "TCPCongestion"
    ] (_: tuning)
    // {
      RemoveOnStop = "the file of a socket that nobody listens on is removed in any case";
      TimeoutSec = "a socket is open or not at once";
      PollLimitIntervalSec = "TriggerLimitIntervalSec counts what is started";
      PollLimitBurst = "TriggerLimitBurst counts what is started";
    };

  known =
    lib.attrNames (listens // flags // numbers // texts // ignored) ++ commands ++ others;
  setKeys = lib.filterAttrs (_: value: value != null);

  accepts =
    name: config:
    boolean "systemd.sockets.${name}.socketConfig.Accept" (last (config.Accept or false));
  startedBy =
    name: config:
    lib.removeSuffix ".service" (
      toString (last (config.Service or "${name}${lib.optionalString (accepts name config) "@"}"))
    );
in
{
  inherit accepts startedBy;

  # Keys that change nothing although somebody may miss it, and why.
  missed = config: lib.mapAttrs (key: _: ignored.${key}) (
    lib.filterAttrs (key: _: (ignored.${key} or null) == tuning) (setKeys config)
  );

  problems =
    name: unit:
    let
      option = "systemd.sockets.${name}";
      config = setKeys unit.socketConfig;
      fail = message: {
        assertion = false;
        inherit message;
      };
      near = key: lib.take 3 (lib.diagnostics.nearest key known);
      suggest =
        key: lib.optionalString (near key != [ ]) "; did you mean ${lib.concatStringsSep " or " (near key)}?";
    in
    map (key: fail "${option}.socketConfig.${key} is no key that is supported${suggest key}") (
      lib.filter (key: !(lib.elem key known)) (lib.attrNames config)
    )
    ++ lib.optional (
      unit.listenStreams == [ ]
      && unit.listenDatagrams == [ ]
      && lib.all (key: !(config ? ${key})) (lib.attrNames listens)
    ) (fail "${option}: it listens on nothing; set listenStreams or socketConfig.ListenStream.");

  # Definitions of `system.services."<name>.socket"`, to be merged.
  translate =
    name: unit:
    let
      option = "systemd.sockets.${name}";
      config = setKeys unit.socketConfig;
      where = key: "${option}.socketConfig.${key}";
      text = key: value: specifiers name (where key) (toString value);
      given = table: parse: lib.mapAttrs' (key: field: lib.nameValuePair field (parse key config.${key})) (
        lib.filterAttrs (key: _: config ? ${key}) table
      );
      listen = lib.concatLists (
        lib.mapAttrsToList (
          key: kind:
          map (address: { ${kind} = text key address; }) (
            (
              {
                ListenStream = unit.listenStreams;
                ListenDatagram = unit.listenDatagrams;
              }
              .${key} or [ ]
            )
            ++ list (config.${key} or null)
          )
        ) listens
      );
      accept = accepts name config;
      only = {
        default = null;
        both = false;
        ipv6-only = true;
      };
      word = toString (last (config.BindIPv6Only or "default"));
      context = key: {
        name = "${name}.socket";
        inherit config;
        where = where key;
      };
      command = {
        ExecStartPre = "ExecStartPre";
        ExecStartPost = "ExecStartPost";
        ExecStopPre = "ExecStop";
        ExecStopPost = "ExecStopPost";
      };
    in
    [
      (activator {
        kind = "socket";
        burst = if accept then 200 else 20;
        inherit unit config where;
      })
      {
        socket = {
          inherit listen accept;
          links = map (text "Symlinks") (wordsOf (config.Symlinks or null));
          ipv6Only = only.${word} or (throw "${where "BindIPv6Only"}: '${word}' is not supported; known are both, default, ipv6-only");
        }
        // given flags (key: value: boolean (where key) (last value))
        // given numbers (key: value: integer (where key) (last value))
        // given texts (key: value: text key (last value));
      }
    ]
    ++ map (key: keys.supported.${command.${key}} (context key) config.${key}) (
      lib.filter (key: config ? ${key}) commands
    );
}

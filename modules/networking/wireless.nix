# Wireless networks, by wpa_supplicant.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkIf
    mkOption
    optionalString
    types
    ;
  cfg = config.networking.wireless;

  network = {
    options = {
      psk = mkOption {
        type = types.nullOr (types.strMatching "[[:print:]]{8,63}");
        default = null;
        example = "correct horse";
        description = "The passphrase. It can be read by everybody in the store.";
      };
      pskRaw = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "The key, 64 hexadecimal digits, as `wpa_passphrase` prints it; or `ext:NAME`, NAME of {option}`networking.wireless.secretsFile`.";
      };
      authProtocols = mkOption {
        type = types.listOf types.str;
        default = [
          "WPA-PSK"
          "WPA-EAP"
          "SAE"
          "FT-PSK"
          "FT-EAP"
          "FT-SAE"
        ];
        description = "How the machine may prove who it is.";
      };
      auth = mkOption {
        type = types.nullOr types.lines;
        default = null;
        example = ''
          eap=PEAP
          identity="user@example.org"
          password="secret"
        '';
        description = "Further keys about that, for networks that want more than a passphrase.";
      };
      hidden = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the network does not tell its name.";
      };
      priority = mkOption {
        type = types.nullOr types.int;
        default = null;
        description = "Of several networks that are there, the one with the highest is taken.";
      };
      extraConfig = mkOption {
        type = types.lines;
        default = "";
        description = "Further lines of its block in {manpage}`wpa_supplicant.conf(5)`.";
      };
    };
  };

  block =
    ssid: network:
    let
      isOpen = network.psk == null && network.pskRaw == null && network.auth == null;
      lines = [
        "ssid=${builtins.toJSON ssid}"
      ]
      ++ [ "key_mgmt=${if isOpen then "NONE" else lib.concatStringsSep " " network.authProtocols}" ]
      ++ lib.optional (network.psk != null) ''psk="${network.psk}"''
      ++ lib.optional (network.pskRaw != null) "psk=${network.pskRaw}"
      ++ lib.optional (!isOpen) "ieee80211w=1"
      ++ lib.optional network.hidden "scan_ssid=1"
      ++ lib.optional (network.priority != null) "priority=${toString network.priority}"
      ++ lib.optional (network.auth != null) network.auth
      ++ lib.optional (network.extraConfig != "") network.extraConfig;
    in
    "network={\n${lib.concatMapStrings (line: "  ${line}\n") lines}}\n";

  configuration = pkgs.writeText "wpa_supplicant.conf" (
    optionalString cfg.userControlled.enable ''
      ctrl_interface=DIR=/run/wpa_supplicant GROUP=${cfg.userControlled.group}
      update_config=1
    ''
    + optionalString (cfg.secretsFile != null) "ext_password_backend=file:${cfg.secretsFile}\n"
    + cfg.extraConfig
    + lib.concatStrings (lib.mapAttrsToList block cfg.networks)
  );
  file =
    if cfg.networks == { } && cfg.extraConfig == "" then "/etc/wpa_supplicant.conf" else configuration;

  service =
    name:
    lib.nameValuePair "wpa_supplicant-${name}" {
      description = "Wireless networks of ${name}";
      process.argv = [
        "${pkgs.wpa_supplicant}/bin/wpa_supplicant"
        "-i"
        name
        "-D"
        cfg.driver
        "-c"
        file
      ];
      # Down, it takes the network away through which the switch may have been asked for.
      stopIfChanged = false;
      devices = [ "/sys/class/net/${name}" ];
      before = [ "network.target" ];
    };
in
{
  options.networking.wireless = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether wpa_supplicant joins wireless networks: {option}`networking.wireless.networks`, or without
        these what {file}`/etc/wpa_supplicant.conf` says, which is then the machine's own.
      '';
    };
    interfaces = mkOption {
      type = types.listOf types.str;
      default = [ "wlan0" ];
      description = "The interfaces that it uses, by the kernel's names.";
    };
    driver = mkOption {
      type = types.str;
      default = "nl80211,wext";
      description = "How it speaks to them.";
    };
    networks = mkOption {
      type = types.attrsOf (types.submodule network);
      default = { };
      example = {
        home.psk = "correct horse";
        "cafe free" = { };
      };
      description = "Networks by their names (SSID).";
    };
    secretsFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/persist/wireless.secrets";
      apply = value: if value == null then null else toString value;
      description = "A file on the machine with lines `NAME=value`, for {option}`networking.wireless.networks.<name>.pskRaw`.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Further lines of {manpage}`wpa_supplicant.conf(5)`, before the networks.";
    };
    userControlled = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether people may speak to it with `wpa_cli`.";
      };
      group = mkOption {
        type = types.str;
        default = "wheel";
        description = "The group that may.";
      };
    };
  };

  config = mkIf cfg.enable {
    assertions = lib.mapAttrsToList (ssid: network: {
      assertion = network.psk == null || network.pskRaw == null;
      message = ''networking.wireless.networks."${ssid}": set either psk or pskRaw.'';
    }) cfg.networks;
    environment.systemPackages = [
      pkgs.wpa_supplicant
      pkgs.iw
    ];
    # Which frequencies may be used where.
    hardware.firmware = [ pkgs.wireless-regdb ];
    system.services = lib.listToAttrs (map service cfg.interfaces);
  };
}

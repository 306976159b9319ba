# Programs that run with other rights than those of who starts them.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;

  # `cap_net_raw` with an operator, as setcap(8) has it, or alone.
  capabilityNames =
    text:
    map (
      part:
      let
        parsed = builtins.match "(cap_[a-z_]+)([+=]e?p?)?" part;
      in
      if parsed == null then
        throw "security.wrappers: '${part}' is no capability; write cap_net_raw or cap_net_raw+ep"
      else
        lib.head parsed
    ) (lib.filter (part: part != "") (lib.splitString "," (lib.replaceStrings [ " " ] [ "" ] text)));

  wrapper =
    { name, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether the wrapper is made.";
        };
        source = mkOption {
          type = types.path;
          description = "The program.";
        };
        program = mkOption {
          type = types.addCheck types.str (name: builtins.match "[^/]+" name != null) // {
            description = "name of a file";
          };
          default = name;
          description = "Its name on the path. The entry's name is the default.";
        };
        owner = mkOption {
          type = types.str;
          description = "The user as whom it runs, if {option}`security.wrappers.<name>.setuid` is set.";
        };
        group = mkOption {
          type = types.str;
          description = "The group as which it runs, if {option}`security.wrappers.<name>.setgid` is set.";
        };
        setuid = mkOption {
          type = types.bool;
          default = false;
          description = "Whether it runs as its owner.";
        };
        setgid = mkOption {
          type = types.bool;
          default = false;
          description = "Whether it runs as its group.";
        };
        permissions = mkOption {
          type = types.strMatching "u?[rwx+=,ugo]+|0?[0-7]{3}";
          default = "u+rx,g+x,o+x";
          example = "750";
          description = ''
            Who may start it: permission bits in octal, or one of `u+rx,g+x,o+x` (everybody), `u+rx,g+x`
            (the group) and `u+rx` (the owner).
          '';
        };
        capabilities = mkOption {
          type = types.str;
          default = "";
          example = "cap_net_raw+ep";
          description = ''
            Capabilities that it has, separated by commas; see {manpage}`capabilities(7)`. They are
            permitted and effective.
          '';
        };
      };
    };

  symbolic = {
    "u+rx,g+x,o+x" = "511";
    "u+rx,g+rx,o+rx" = "555";
    "u+rx,g+x" = "510";
    "u+rx" = "500";
  };

  bits =
    wrapper:
    let
      special = (if wrapper.setuid then 4 else 0) + (if wrapper.setgid then 2 else 0);
      octal = builtins.match "0?([0-7]{3})" wrapper.permissions;
      permissions =
        if octal != null then
          lib.head octal
        else
          symbolic.${wrapper.permissions} or (throw ''
            security.wrappers.${wrapper.program}.permissions: '${wrapper.permissions}' is not supported;
            write the bits in octal, such as 755'');
    in
    "${toString special}${permissions}";

  wrappers = lib.filter (wrapper: wrapper.enable) (lib.attrValues config.security.wrappers);

  setuidRoot = source: {
    inherit source;
    setuid = true;
    owner = "root";
    group = "root";
    permissions = "755";
  };
in
{
  options = {
    security.wrappers = mkOption {
      type = types.attrsOf (types.submodule wrapper);
      default = { };
      example = literalExpression ''
        {
          ping = {
            source = "''${pkgs.iputils-ping}/bin/ping";
            owner = "root";
            group = "root";
            capabilities = "cap_net_raw+ep";
          };
        }
      '';
      description = ''
        Programs that get the rights of their owner or group, or capabilities. Files in the store have
        no such rights: copies of these programs, with them, are in
        {file}`/run/wrappers/bin`, the first place where programs are looked for.
      '';
    };

    security.wrapperDir = mkOption {
      type = types.path;
      default = "/run/wrappers/bin";
      internal = true;
      readOnly = true;
      description = "Where the wrappers are.";
    };
  };

  config = {
    security.wrappers = {
      su = setuidRoot "${pkgs.util-linux}/bin/su";
      passwd = setuidRoot "${pkgs.passwd}/bin/passwd";
      mount = setuidRoot "${pkgs.mount}/bin/mount";
      umount = setuidRoot "${pkgs.mount}/bin/umount";
    };

    assertions = map (wrapper: {
      assertion = wrapper.capabilities == "" || !(wrapper.setuid || wrapper.setgid);
      message = "security.wrappers.${wrapper.program}: capabilities are for a program that is not setuid or setgid.";
    }) wrappers;

    system.description.wrappers = map (wrapper: {
      name = wrapper.program;
      inherit (wrapper) source group;
      user = wrapper.owner;
      mode = bits wrapper;
      capabilities = capabilityNames wrapper.capabilities;
    }) wrappers;
  };
}

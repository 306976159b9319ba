# PAM: how programs ask who somebody is. Modules are named by their store paths, and a program that
# has no stack of its own is refused by `other`.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkDefault
    mkOption
    types
    ;
  cfg = config.security.pam;

  module = name: "${pkgs.libpam-modules}/lib/x86_64-linux-gnu/security/${name}.so";

  # A module by its name alone is one of Debian's own.
  modulePath = name: if lib.hasPrefix "/" name then name else module (lib.removeSuffix ".so" name);

  argument =
    name: value:
    if value == true then
      name
    else if value == false || value == null then
      null
    else
      "${name}=${toString value}";

  # pam.conf(5): an argument with blanks is written in brackets.
  quote =
    text:
    if builtins.match ".*[[:space:]].*" text == null then
      text
    else
      "[${lib.replaceStrings [ "]" ] [ "\\]" ] text}]";

  rule =
    { name, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether the rule is there.";
        };
        order = mkOption {
          type = types.int;
          default = 15000;
          description = "Its place among the rules of its kind, the lowest first.";
        };
        control = mkOption {
          type = types.str;
          example = "sufficient";
          description = "What its result means for the whole: `required`, `requisite`, `sufficient`, `optional`, or the form in brackets.";
        };
        modulePath = mkOption {
          type = types.str;
          example = "pam_unix";
          description = "The module: a path, or the name of one of Debian's package `libpam-modules`.";
        };
        args = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Arguments of the module, before those of {option}`settings`.";
        };
        settings = mkOption {
          type = types.attrsOf (
            types.nullOr (
              types.oneOf [
                types.bool
                types.int
                types.str
              ]
            )
          );
          default = { };
          example = {
            deny = 5;
            silent = true;
          };
          description = "Arguments of the module by name: one that is `true` stands alone.";
        };
      };
    };

  line =
    kind: rule:
    let
      settings = lib.filter (argument: argument != null) (lib.mapAttrsToList argument rule.settings);
    in
    lib.concatStringsSep " " (
      [
        kind
        rule.control
        (modulePath rule.modulePath)
      ]
      ++ map quote (rule.args ++ settings)
    )
    + "\n";

  kinds = [
    "auth"
    "account"
    "password"
    "session"
  ];

  compose =
    service:
    lib.concatMapStrings (
      kind:
      lib.concatMapStrings (line kind) (
        lib.sort (a: b: a.order < b.order) (
          lib.filter (rule: rule.enable) (lib.attrValues service.rules.${kind})
        )
      )
    ) kinds;

  service =
    { name, config, ... }:
    let
      rules =
        kind:
        mkOption {
          type = types.attrsOf (types.submodule rule);
          default = { };
          description = "Rules of the kind `${kind}`, by name.";
        };
    in
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          description = "Whether the program has a stack of its own; without one it is refused.";
        };
        name = mkOption {
          type = types.str;
          default = name;
          description = "The name under which the program asks.";
        };
        unixAuth = mkOption {
          type = types.bool;
          default = true;
          description = "Whether a password of {file}`/etc/shadow` lets somebody in.";
        };
        rootOK = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether root is let in without a password. It is for programs that somebody starts, never for
            one that runs as root for somebody unknown, as `login` does: that would let everybody in.
          '';
        };
        allowNullPassword = mkOption {
          type = types.bool;
          default = false;
          description = "Whether an empty password lets somebody in who has none.";
        };
        requireWheel = mkOption {
          type = types.bool;
          default = false;
          description = "Whether only members of the group `wheel` are let in.";
        };
        setEnvironment = mkOption {
          type = types.bool;
          default = true;
          description = "Whether a session has the variables of {option}`environment.sessionVariables`.";
        };
        startSession = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether a session starts the services of {option}`systemd.user` for who has logged in, if there
            are any. They end with the last session.
          '';
        };
        showMotd = mkOption {
          type = types.bool;
          default = false;
          description = "Whether {file}`/etc/motd` is shown when a session begins.";
        };
        makeHomeDir = mkOption {
          type = types.bool;
          default = false;
          description = "Whether a home that does not exist is made when a session begins.";
        };
        limits = mkOption {
          type = types.listOf types.raw;
          default = [ ];
          description = "Limits of the program's sessions, as {option}`security.pam.loginLimits` has them.";
        };
        failDelay.enable = mkOption {
          type = types.bool;
          default = false;
          description = "Whether a wrong password is answered only after a while.";
        };
        failDelay.delay = mkOption {
          type = types.ints.positive;
          default = 3000000;
          description = "How long that is, in microseconds.";
        };
        rules = {
          auth = rules "auth";
          account = rules "account";
          password = rules "password";
          session = rules "session";
        };
        text = mkOption {
          type = types.nullOr types.lines;
          description = ''
            The whole stack, in the language of {manpage}`pam.d(5)`. Without it, the other options make
            one; a module is then named by its store path, since nothing is searched for in
            {file}`/lib`.
          '';
        };
      };

      config = {
        text = mkDefault (compose config);
        rules = {
          auth = {
            rootok = {
              enable = config.rootOK;
              order = 10000;
              control = "sufficient";
              modulePath = "pam_rootok";
            };
            wheel = {
              enable = config.requireWheel;
              order = 11000;
              control = "required";
              modulePath = "pam_wheel";
              settings.use_uid = true;
            };
            faildelay = {
              enable = config.failDelay.enable;
              order = 12000;
              control = "optional";
              modulePath = "pam_faildelay";
              settings.delay = config.failDelay.delay;
            };
            unix = {
              order = 20000;
              control = "required";
              modulePath = if config.unixAuth then "pam_unix" else "pam_deny";
              settings.nullok = config.unixAuth && config.allowNullPassword;
            };
          };
          account.unix = {
            order = 10000;
            control = "required";
            modulePath = "pam_unix";
          };
          password.unix = {
            order = 10000;
            control = "required";
            modulePath = "pam_unix";
            settings = {
              yescrypt = true;
              nullok = config.allowNullPassword;
            };
          };
          session = {
            env = {
              enable = config.setEnvironment;
              order = 10000;
              control = "required";
              modulePath = "pam_env";
              settings = {
                conffile = "/etc/security/pam_env.conf";
                readenv = 0;
              };
            };
            limits = {
              enable = config.limits != [ ];
              order = 12000;
              control = "required";
              modulePath = "pam_limits";
              settings.conf = "${pkgs.writeText "limits-${name}.conf" (limitsText config.limits)}";
            };
            services = {
              enable = config.startSession;
              order = 30000;
              control = "optional";
              modulePath = "pam_exec";
              args = [
                "type=open_session"
                "quiet"
                "/run/cairn/generation/user-services"
                "--session"
              ];
            };
            motd = {
              enable = config.showMotd;
              order = 25000;
              control = "optional";
              modulePath = "pam_motd";
              settings.motd = "/etc/motd";
            };
            mkhomedir = {
              enable = config.makeHomeDir;
              order = 15000;
              control = "required";
              modulePath = "pam_mkhomedir";
              settings.umask = "0077";
            };
            unix = {
              order = 20000;
              control = "required";
              modulePath = "pam_unix";
            };
          };
        };
        limits = cfg.loginLimits;
      };
    };

  limitsText = lib.concatMapStrings (
    limit: "${limit.domain} ${limit.type} ${limit.item} ${toString limit.value}\n"
  );

  services = lib.filter (service: service.enable) (lib.attrValues cfg.services);

  motd = config.users.motd;

  refusal = lib.concatMapStrings (kind: "${kind} required ${module "pam_deny"}\n") kinds;
in
{
  options.users.motd = mkOption {
    type = types.nullOr types.lines;
    default = null;
    example = "This machine is restarted every Monday at four.";
    description = "What everybody is told who logs in on a terminal.";
  };

  options.security.pam = {
    services = mkOption {
      type = types.attrsOf (types.submodule service);
      default = { };
      example = literalExpression "{ vsftpd.unixAuth = true; }";
      description = ''
        The programs that ask PAM, each with the stack of modules that answers it. By default that
        checks passwords of {file}`/etc/shadow`.
      '';
    };

    loginLimits = mkOption {
      type = types.listOf (
        types.submodule {
          options = {
            domain = mkOption {
              type = types.str;
              example = "@wheel";
              description = "A user, a group after `@`, or `*`.";
            };
            type = mkOption {
              type = types.enum [
                "hard"
                "soft"
                "-"
              ];
              default = "-";
              description = "The limit that is enforced, the one that is set, or both.";
            };
            item = mkOption {
              type = types.str;
              example = "nofile";
              description = "What is limited; see {manpage}`limits.conf(5)`.";
            };
            value = mkOption {
              type = types.either types.int types.str;
              description = "The limit, or `unlimited`.";
            };
          };
        }
      );
      default = [ ];
      example = [
        {
          domain = "*";
          item = "nofile";
          value = 65536;
        }
      ];
      description = "Limits of what sessions of users may take.";
    };
  };

  config = {
    assertions = [
      {
        # `login` and its like run as root for somebody who is unknown yet.
        assertion =
          !(lib.any (name: (cfg.services.${name}.rootOK or false)) [
            "login"
            "sshd"
          ]);
        message = "security.pam.services: rootOK of login or sshd would let everybody in as root.";
      }
    ];

    security.pam.services = {
      login = {
        allowNullPassword = mkDefault true;
        showMotd = mkDefault (motd != null);
      };
      passwd = { };
      su.rootOK = mkDefault true;
      chpasswd.rootOK = mkDefault true;
      chsh.rootOK = mkDefault true;
      runuser = {
        rootOK = mkDefault true;
        unixAuth = mkDefault false;
        setEnvironment = mkDefault false;
      };
      # What `su -` and `runuser -` call themselves.
      su-l.text = mkDefault cfg.services.su.text;
      runuser-l.text = mkDefault cfg.services.runuser.text;
      other.text = refusal;
    };

    environment.etc =
      lib.listToAttrs (
        map (service: lib.nameValuePair "pam.d/${service.name}" { inherit (service) text; }) services
      )
      // lib.optionalAttrs (motd != null) { motd.text = motd; };
  };
}

# Users and groups.
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
    mkIf
    mkMerge
    mkOption
    types
    ;
  cfg = config.users;

  # A field of passwd(5).
  field = types.addCheck types.str (value: builtins.match "[^:\n]*" value != null) // {
    description = "string without ':' and newline";
  };
  accountName =
    types.addCheck types.str (value: builtins.match "[a-zA-Z_][a-zA-Z0-9_.-]{0,31}" value != null)
    // {
      description = "name of a user or group";
    };

  # By a path that stays when the package's own changes.
  shellPath =
    shell:
    if !(lib.isDerivation shell) then
      toString shell
    else
      "/run/current-system/sw${shell.shellPath or "/bin/${shell.meta.mainProgram or shell.pname}"}";

  passwordNote = ''

    Where several of a user's passwords are set, the first of these counts: `hashedPasswordFile`,
    `password`, `hashedPassword`, `initialPassword`, `initialHashedPassword`. With
    {option}`users.mutableUsers`, each is given only to a user that does not exist yet, and the
    user's own is kept from then on. With none of them, nobody logs in with a password.
  '';

  # The image holds the hash, made when it is built, and never the text. Its salt follows from user
  # and text, so that the same configuration gives the same bytes.
  hashFile =
    user: password:
    "${pkgs.build "password-hash" {
      name = "password-hash";
      inherit user password;
    }}";

  user =
    { name, config, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether there is such a user.";
        };
        name = mkOption {
          type = accountName;
          default = name;
          description = "The login name. The entry's name is the default.";
        };
        description = mkOption {
          type = field;
          default = "";
          example = "Alice Q. User";
          description = "Something about the user for people, usually a full name.";
        };
        uid = mkOption {
          type = types.nullOr types.ints.unsigned;
          default = null;
          example = 1000;
          description = ''
            The user's number. Without one, a free one is taken when the user is made, and is never
            given to another.
          '';
        };
        isSystemUser = mkOption {
          type = types.bool;
          default = false;
          description = ''
            An account of a service: its number is taken from below 1000. A user is either this or
            normal.
          '';
        };
        isNormalUser = mkOption {
          type = types.bool;
          default = false;
          description = ''
            An account of a person: with the group `users`, a home in {file}`/home`, the default shell,
            and a number from 1000 upwards. A user is either this or a system user.
          '';
        };
        group = mkOption {
          type = types.str;
          default = "";
          example = "users";
          description = "The primary group.";
        };
        extraGroups = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [
            "wheel"
            "audio"
          ];
          description = "Further groups. Members of `wheel` may use `sudo`.";
        };
        home = mkOption {
          type = field;
          default = "/var/empty";
          description = "The home directory.";
        };
        homeMode = mkOption {
          type = types.strMatching "0?7?[0-7]{3}";
          default = "700";
          description = "Permission bits of a home directory that is made.";
        };
        createHome = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the home directory is made if it does not exist.";
        };
        shell = mkOption {
          type = types.nullOr (types.either field types.package);
          default = "/run/current-system/sw/bin/nologin";
          example = literalExpression "pkgs.zsh";
          description = ''
            The login shell: a path, or a package that is a shell.
          '';
        };
        useDefaultShell = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the shell is {option}`users.defaultUserShell`.";
        };
        ignoreShellProgramCheck = mkOption {
          type = types.bool;
          default = false;
          description = "Without effect: no shell has to be enabled.";
        };
        hashedPassword = mkOption {
          type = types.nullOr field;
          default = null;
          example = "$y$j9T$…";
          description = ''
            A hash of the password, as `mkpasswd` prints it. An empty one lets in whoever is at the
            console, without a password.
            ${passwordNote}'';
        };
        hashedPasswordFile = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "/persist/alice.hash";
          description = ''
            A file with one line, the password's hash. It is read at each activation, and must be there
            before; it need not be in the store.
            ${passwordNote}'';
        };
        password = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "correct horse battery staple";
          description = ''
            The password itself. The system holds only a hash of it, but the text is in the configuration
            and in the build host's store, and the hash is one that everybody on the machine can read
            and try passwords on: for tests and demonstrations.
            ${passwordNote}'';
        };
        initialHashedPassword = mkOption {
          type = types.nullOr field;
          default = null;
          description = ''
            A hash of the password that a user who does not exist yet is given.
            ${passwordNote}'';
        };
        initialPassword = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "change me";
          description = ''
            The password that a user who does not exist yet is given. As for
            {option}`users.users.<name>.password`, it is no secret.
            ${passwordNote}'';
        };
        openssh.authorizedKeys.keys = mkOption {
          type = types.listOf (
            types.addCheck types.str (key: builtins.match "[^\n]*" key != null)
            // {
              description = "string of one line";
            }
          );
          default = [ ];
          example = [ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI… alice@example" ];
          description = "Public keys with which the user may log in through SSH.";
        };
        openssh.authorizedKeys.keyFiles = mkOption {
          type = types.listOf types.path;
          default = [ ];
          example = literalExpression "[ ./alice.pub ]";
          description = "Files with public keys, read when the configuration is evaluated.";
        };
        packages = mkOption {
          type = types.listOf types.package;
          default = [ ];
          example = literalExpression "[ pkgs.git ]";
          description = "Packages on this user's path alone.";
        };
        subUidRanges = mkOption {
          type = types.listOf range;
          default = [ ];
          example = [
            {
              startUid = 100000;
              count = 65536;
            }
          ];
          description = "Numbers of users that this one may use in user namespaces, {file}`/etc/subuid`.";
        };
        subGidRanges = mkOption {
          type = types.listOf range;
          default = [ ];
          description = "Numbers of groups that this one may use in user namespaces, {file}`/etc/subgid`.";
        };
        autoSubUidGidRange = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether a range of 65536 numbers of users and groups is chosen when the user is made, and
            never given to another. So it is for normal users without ranges of their own.
          '';
        };
        linger = mkOption {
          type = types.nullOr types.bool;
          default = null;
          description = "Whether the services of {option}`systemd.user` run for this user from the machine's start to its end, and not only while somebody is logged in.";
        };
        expires = mkOption {
          type = types.nullOr (types.strMatching "[0-9]{4}-[0-9]{2}-[0-9]{2}");
          default = null;
          example = "2030-12-31";
          description = ''
            The day from which on nobody logs in as this user. Without one, what was set on the machine
            stays if {option}`users.mutableUsers` is on.
          '';
        };
      };

      config = mkMerge [
        (mkIf config.isNormalUser {
          group = mkDefault "users";
          createHome = mkDefault true;
          home = mkDefault "/home/${config.name}";
          useDefaultShell = mkDefault true;
        })
        (mkIf (config.isNormalUser && config.subUidRanges == [ ] && config.subGidRanges == [ ]) {
          autoSubUidGidRange = mkDefault true;
        })
        (mkIf config.useDefaultShell { shell = mkDefault cfg.defaultUserShell; })
      ];
    };

  range = types.submodule (
    { config, ... }:
    {
      options = {
        startUid = mkOption {
          type = types.nullOr types.ints.unsigned;
          default = null;
          description = "The first number, of users.";
        };
        startGid = mkOption {
          type = types.nullOr types.ints.unsigned;
          default = null;
          description = "The first number, of groups.";
        };
        count = mkOption {
          type = types.ints.positive;
          default = 1;
          description = "How many numbers.";
        };
      };
    }
  );

  group =
    { name, ... }:
    {
      options = {
        name = mkOption {
          type = accountName;
          default = name;
          description = "The group's name. The entry's name is the default.";
        };
        gid = mkOption {
          type = types.nullOr types.ints.unsigned;
          default = null;
          description = ''
            The group's number. Without one, a free one is taken when the group is made, and is never
            given to another.
          '';
        };
        members = mkOption {
          type = types.listOf accountName;
          default = [ ];
          description = "Members, beside the users who name it in their {option}`users.users.<name>.extraGroups`.";
        };
      };
    };

  # With the numbers that NixOS gives them.
  wellKnownGroups = {
    root = 0;
    wheel = 1;
    kmem = 2;
    tty = 3;
    disk = 6;
    audio = 17;
    lp = 20;
    cdrom = 24;
    tape = 25;
    video = 26;
    dialout = 27;
    utmp = 29;
    adm = 55;
    keys = 96;
    users = 100;
    input = 174;
    kvm = 302;
    render = 303;
    shadow = 318;
    nixbld = 30000;
    nogroup = 65534;
  };

  users = lib.filter (user: user.enable) (lib.attrValues cfg.users);
  groups = lib.attrValues cfg.groups;

  # A user's own password is kept where users may change it; elsewhere the first one stays.
  passwordKey = what: if cfg.mutableUsers then "initialHashed${what}" else "hashed${what}";
  passwordOf =
    user:
    let
      file = path: { ${passwordKey "PasswordFile"} = path; };
      hash = value: { ${passwordKey "Password"} = value; };
    in
    if user.hashedPasswordFile != null then
      file user.hashedPasswordFile
    else if user.password != null then
      file (hashFile user.name user.password)
    else if user.hashedPassword != null then
      hash user.hashedPassword
    else if user.initialPassword != null then
      file (hashFile user.name user.initialPassword)
    else if user.initialHashedPassword != null then
      hash user.initialHashedPassword
    else
      { };

  idRange = start: range: {
    start = range.${start};
    inherit (range) count;
  };

  describeUser =
    user:
    {
      inherit (user)
        name
        isSystemUser
        group
        extraGroups
        description
        home
        createHome
        ;
      shell = if user.shell == null then "/run/current-system/sw/bin/nologin" else shellPath user.shell;
    }
    // lib.optionalAttrs (user.uid != null) { inherit (user) uid; }
    // lib.optionalAttrs (user.homeMode != "700") { inherit (user) homeMode; }
    // lib.optionalAttrs (user.expires != null) { inherit (user) expires; }
    // lib.optionalAttrs user.autoSubUidGidRange { autoSubIds = true; }
    // lib.optionalAttrs (user.subUidRanges != [ ]) {
      subUidRanges = map (idRange "startUid") user.subUidRanges;
    }
    // lib.optionalAttrs (user.subGidRanges != [ ]) {
      subGidRanges = map (idRange "startGid") user.subGidRanges;
    }
    // passwordOf user;

  describeGroup =
    group:
    { inherit (group) name members; } // lib.optionalAttrs (group.gid != null) { inherit (group) gid; };

  # What several of `entries` have in common that each should have for itself.
  sharedBy =
    key: entries:
    lib.filterAttrs (_: names: lib.length names > 1) (
      lib.foldl' (
        found: entry:
        let
          value = toString entry.${key};
        in
        if entry.${key} == null then
          found
        else
          found // { ${value} = (found.${value} or [ ]) ++ [ entry.name ]; }
      ) { } entries
    );

  noSharing =
    what: key: entries:
    lib.mapAttrsToList (value: names: {
      assertion = false;
      message = "${what}: ${lib.concatStringsSep " and " names} have the same ${key}, ${value}.";
    }) (sharedBy key entries);

  locked = [
    null
    "!"
    "!!"
    "*"
  ];
  hasPassword =
    user:
    user.hashedPasswordFile != null
    || user.password != null
    || user.initialPassword != null
    || !(lib.elem user.hashedPassword locked)
    || !(lib.elem user.initialHashedPassword locked);
  hasKeys =
    user: user.openssh.authorizedKeys.keys != [ ] || user.openssh.authorizedKeys.keyFiles != [ ];
  canBeRoot =
    user:
    user.name == "root"
    || user.uid == 0
    || lib.elem "wheel" user.extraGroups
    || user.group == "wheel"
    || lib.elem user.name cfg.groups.wheel.members;

  groupNames = map (group: group.name) groups;

  userAssertions =
    user:
    let
      option = "users.users.${user.name}";
      unknown = lib.filter (name: !(lib.elem name groupNames)) ([ user.group ] ++ user.extraGroups);
    in
    [
      {
        assertion = user.isSystemUser != user.isNormalUser;
        message =
          if user.isSystemUser then
            "${option}: isSystemUser and isNormalUser are both set; a user is one of them."
          else
            "${option}: set isNormalUser for a person, or isSystemUser for a service.";
      }
      {
        assertion = user.group != "";
        message = ''
          ${option}.group is not set. If the user shall have a group of its own, write
          users.groups.${user.name} = { }; and ${option}.group = "${user.name}";'';
      }
      {
        assertion = user.group == "" || unknown == [ ];
        message = "${option}: there is no group '${lib.head unknown}'; define users.groups.${lib.head unknown}.";
      }
      {
        assertion = lib.hasPrefix "/" user.home;
        message = "${option}.home: '${user.home}' is not an absolute path.";
      }
      {
        assertion = lib.all (range: range.startUid != null) user.subUidRanges;
        message = "${option}.subUidRanges: a range has no startUid.";
      }
      {
        assertion = lib.all (range: range.startGid != null) user.subGidRanges;
        message = "${option}.subGidRanges: a range has no startGid.";
      }
    ];

  keyFiles = lib.filter hasKeys users;
  authorizedKeys =
    user:
    lib.concatMapStrings (key: "${key}\n") user.openssh.authorizedKeys.keys
    + lib.concatMapStrings (file: "${lib.fileContents file}\n") user.openssh.authorizedKeys.keyFiles;
in
{
  imports = [
    (lib.mkAliasOptionModule [ "users" "extraUsers" ] [ "users" "users" ])
    (lib.mkAliasOptionModule [ "users" "extraGroups" ] [ "users" "groups" ])
  ];

  options.users = {
    mutableUsers = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether users, groups and passwords may be changed on the machine. If not, each activation
        makes them as the configuration says, and what it does not know is removed; then somebody must
        be able to become root.
      '';
    };

    allowNoPasswordLogin = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether a machine is accepted on which nobody can log in and become root, with
        {option}`users.mutableUsers` off.
      '';
    };

    enforceIdUniqueness = mkOption {
      type = types.bool;
      default = true;
      description = "Whether two users, or two groups, with the same number are an error.";
    };

    defaultUserShell = mkOption {
      type = types.either types.path types.package;
      default = "/run/current-system/sw/bin/bash";
      example = literalExpression "pkgs.zsh";
      description = "The shell of root and of normal users.";
    };

    users = mkOption {
      type = types.attrsOf (types.submodule user);
      default = { };
      example = literalExpression ''
        {
          alice = {
            isNormalUser = true;
            description = "Alice Q. User";
            extraGroups = [ "wheel" ];
          };
        }
      '';
      description = "Users, by name. Root is there in any case.";
    };

    groups = mkOption {
      type = types.attrsOf (types.submodule group);
      default = { };
      example = literalExpression ''{ web.members = [ "alice" ]; }'';
      description = "Groups, by name.";
    };
  };

  config = {
    users.users = {
      root = {
        uid = 0;
        isSystemUser = true;
        group = "root";
        description = "System administrator";
        home = "/root";
        shell = mkDefault cfg.defaultUserShell;
      };
      nobody = {
        uid = 65534;
        isSystemUser = true;
        group = "nogroup";
        description = "Unprivileged account (don't use!)";
        hashedPassword = "!";
      };
    };
    users.groups = lib.mapAttrs (_: gid: { gid = mkDefault gid; }) wellKnownGroups;

    assertions =
      lib.concatMap userAssertions users
      ++ lib.optionals cfg.enforceIdUniqueness (
        noSharing "users.users" "uid" users ++ noSharing "users.groups" "gid" groups
      )
      ++ [
        {
          assertion =
            cfg.mutableUsers
            || cfg.allowNoPasswordLogin
            || lib.any (user: canBeRoot user && (hasPassword user || hasKeys user)) users;
          message = ''
            Nobody could log in and become root, since users.mutableUsers is off.
            Give root or a user in the group wheel a password or a key, or set
            users.allowNoPasswordLogin.'';
        }
      ];

    environment.systemPackages = lib.filter lib.isDerivation (map (user: user.shell) users);

    environment.etc = mkMerge [
      (lib.listToAttrs (
        map (
          user:
          lib.nameValuePair "ssh/authorized_keys.d/${user.name}" {
            text = authorizedKeys user;
            # A copy: sshd trusts no file in a folder that a group may write to, as the store's is.
            mode = "0444";
          }
        ) keyFiles
      ))
      (lib.listToAttrs (
        map (
          user:
          lib.nameValuePair "profiles/per-user/${user.name}" {
            source = pkgs.build "profile" {
              name = "user-packages";
              paths = toString user.packages;
            };
          }
        ) (lib.filter (user: user.packages != [ ]) users)
      ))
    ];

    system.description = {
      inherit (cfg) mutableUsers;
      users = map describeUser users;
      groups = map describeGroup groups;
    };
  };
}

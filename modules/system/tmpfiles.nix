# Files, directories and links that exist at each boot, in the language of tmpfiles.d(5). The lines
# are read here, so that what is not supported is refused with its option; activation gets data.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;

  # What a letter means; whether its path may be a pattern.
  kinds = {
    d = {
      kind = "directory";
    };
    v = {
      kind = "directory";
    };
    q = {
      kind = "directory";
    };
    Q = {
      kind = "directory";
    };
    D = {
      kind = "emptied-directory";
    };
    e = {
      kind = "rights";
      pattern = true;
    };
    f = {
      kind = "file";
    };
    F = {
      kind = "file";
      replace = true;
    };
    w = {
      kind = "write";
      pattern = true;
    };
    L = {
      kind = "link";
    };
    r = {
      kind = "remove";
      pattern = true;
    };
    R = {
      kind = "remove-tree";
      pattern = true;
    };
    z = {
      kind = "rights";
      pattern = true;
    };
    Z = {
      kind = "rights-of-tree";
      pattern = true;
    };
  };

  # They only keep things from being cleaned up by age, which nothing does.
  withoutEffect = [
    "x"
    "X"
  ];

  # The first `count` fields of a line, quotes taken off, and what is left.
  split =
    count: line:
    let
      parts = builtins.match ''[[:space:]]*("[^"]*"|'[^']*'|[^[:space:]"']+)([[:space:]].*)?'' line;
      rest = split (count - 1) (if lib.elemAt parts 1 == null then "" else lib.elemAt parts 1);
    in
    if count == 0 || parts == null then
      {
        fields = [ ];
        rest = trim line;
      }
    else
      {
        fields = [ (unquote (lib.head parts)) ] ++ rest.fields;
        inherit (rest) rest;
      };

  letterAndModifiers = "([a-zA-Z])([-!+=~^$?]*)";

  trim = text: lib.head (builtins.match "[[:space:]]*(.*[^[:space:]]|)[[:space:]]*" text);
  unquote =
    text:
    let
      double = builtins.match ''"(.*)"'' text;
      single = builtins.match "'(.*)'" text;
    in
    if double != null then
      lib.head double
    else if single != null then
      lib.head single
    else
      text;

  parse =
    line:
    let
      parts = split 6 line;
      field =
        index:
        let
          value = if lib.length parts.fields > index then lib.elemAt parts.fields index else "-";
        in
        if value == "-" then null else value;
      type = builtins.match letterAndModifiers (lib.head parts.fields);
    in
    if parts.fields == [ ] || lib.hasPrefix "#" (lib.head parts.fields) then
      null
    else if type == null then
      refuse line "it does not begin with a type"
    else
      rule {
        inherit line;
        letter = lib.head type;
        modifiers = lib.elemAt type 1;
        path = field 1;
        mode = field 2;
        user = field 3;
        group = field 4;
        argument = if parts.rest == "" || parts.rest == "-" then null else unquote parts.rest;
      };

  refuse =
    line: reason:
    throw ''
      systemd.tmpfiles.rules: '${line}': ${reason}.
      The types d D e f F L r R w z Z are known, with the modifiers + and !.'';

  # Numbers of accounts are chosen at activation; only root's is known.
  account =
    line: name:
    if name == "0" then
      "root"
    else if builtins.match "[0-9]+" name != null then
      refuse line "'${name}' is a number; name the user or group"
    else
      name;

  specifiers =
    line: text:
    if builtins.match ".*%[^%].*" (lib.replaceStrings [ "%%" ] [ "" ] text + " ") != null then
      refuse line "specifiers such as %m are not supported"
    else
      lib.replaceStrings [ "%%" ] [ "%" ] text;

  # What is written may span lines.
  unescape =
    kind: text:
    if kind == "file" || kind == "write" then
      lib.replaceStrings [ "\\n" "\\t" "\\\\" ] [ "\n" "\t" "\\" ] text
    else
      text;

  isPattern = path: builtins.match ".*[*?[].*" path != null;
  isPath =
    path: builtins.match "(/[^/]+)+" path != null && builtins.match ".*/\\.\\.?(/.*)?" path == null;

  # A rule as activation gets it; `null` if it asks for nothing.
  rule =
    {
      line,
      letter,
      modifiers,
      path,
      mode,
      user,
      group,
      argument,
    }:
    let
      known = kinds.${letter};
      has = modifier: lib.hasInfix modifier modifiers;
      plain = if path == null then null else specifiers line (lib.removeSuffix "/" path);
    in
    if lib.elem letter withoutEffect then
      null
    else if !(kinds ? ${letter}) then
      refuse line "the type '${letter}' is not supported"
    else if builtins.match "[+!]*" modifiers == null then
      refuse line "its modifiers are not supported"
    else if
      has "+"
      && !(lib.elem known.kind [
        "link"
        "file"
      ])
    then
      refuse line "the modifier + is for f and L alone"
    else if known.kind == "link" && argument == null then
      refuse line "it does not say what the link points to"
    else if plain == null || !(isPath plain) then
      refuse line "it has no absolute path"
    else if isPattern plain && !(known.pattern or false) then
      refuse line "a pattern does not say what to make"
    else if mode != null && builtins.match "[0-7]{3,4}" mode == null then
      refuse line "'${mode}' is no mode; write it in octal, such as 0755"
    else if known.kind == "write" && argument == null then
      refuse line "it does not say what to write"
    else
      {
        inherit (known) kind;
        path = plain;
        replace = (known.replace or false) || has "+";
        atBootOnly = has "!";
      }
      // lib.optionalAttrs (mode != null) { inherit mode; }
      // lib.optionalAttrs (user != null) { user = account line user; }
      // lib.optionalAttrs (group != null) { group = account line group; }
      // lib.optionalAttrs (argument != null) {
        argument = unescape known.kind (specifiers line argument);
      };

  settingsRule =
    path: letter: setting:
    let
      line = "${letter} ${path}";
      type = builtins.match letterAndModifiers letter;
      orNull = value: if value == "-" || value == "" then null else value;
    in
    if type == null then
      refuse line "'${letter}' is no type"
    else
      rule {
        inherit line;
        letter = lib.head type;
        modifiers = lib.elemAt type 1;
        inherit path;
        mode = orNull setting.mode;
        user = orNull setting.user;
        group = orNull setting.group;
        argument = orNull setting.argument;
      };

  setting = types.submodule {
    options =
      lib.mapAttrs
        (
          _: description:
          mkOption {
            type = types.str;
            default = "-";
            inherit description;
          }
        )
        {
          mode = "Permission bits in octal.";
          user = "The owner.";
          group = "The group.";
          age = "Without effect: nothing is cleaned up by age.";
        }
      // {
        argument = mkOption {
          type = types.str;
          default = "";
          description = "What to write, or what a link points to.";
        };
      };
  };

  hasAge =
    line:
    let
      inherit (split 6 line) fields;
    in
    lib.length fields == 6 && lib.last fields != "-";
  aged = lib.filter hasAge config.systemd.tmpfiles.rules;
in
{
  options.systemd.tmpfiles = {
    rules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "d /srv/queue 0750 daemon daemon -"
        "L+ /opt/tool - - - - /run/current-system/sw/bin/tool"
      ];
      description = ''
        Files, directories and links, one a line as in {manpage}`tmpfiles.d(5)`, in the order in which
        they are made: type, path, mode, user, group, age, argument. Activation makes them, after
        users and groups and before any service.

        The types are `d` (a directory), `D` (a directory that is emptied at boot), `e` and `z` (rights
        of what is there), `Z` (and of all in it), `f` (a file with this content, if there is none), `F`
        (with this content in any case), `w` (write into a file that is there), `L` (a link; `L+` in the
        place of whatever is there), `r` and `R` (remove a file, a whole tree). `!` does it at boot
        alone. An age is ignored: nothing is cleaned up by age.
      '';
    };

    settings = mkOption {
      type = types.attrsOf (types.attrsOf (types.attrsOf setting));
      default = { };
      example = literalExpression ''
        {
          "10-queue"."/srv/queue".d = { mode = "0750"; user = "daemon"; };
        }
      '';
      description = ''
        The same as {option}`systemd.tmpfiles.rules`, as sets: by a name that gives the order, then by
        path, then by type. They come before the rules.
      '';
    };
  };

  config = {
    warnings = map (
      line: "systemd.tmpfiles.rules: '${line}': nothing is cleaned up by age; its age is ignored."
    ) aged;
    system.description.paths = lib.filter (rule: rule != null) (
      lib.concatMap (
        paths:
        lib.concatLists (
          lib.mapAttrsToList (path: letters: lib.mapAttrsToList (settingsRule path) letters) paths
        )
      ) (lib.attrValues config.systemd.tmpfiles.settings)
      ++ map parse config.systemd.tmpfiles.rules
    );
  };
}

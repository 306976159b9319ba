# Values as unit files write them.
#
# Sources: systemd.syntax(7), systemd.time(7) "Parsing Time Spans", systemd.unit(5) "Specifiers",
# systemd.service(5) "Command lines".
#
# With the scope "user", specifiers that stand for something of a user's stay: the user's supervisor
# replaces them.
{
  lib,
  scope ? "system",
}:
let
  words = import ./words.nix { inherit lib; };
  inherit (builtins)
    isBool
    isInt
    isList
    match
    ;

  units = {
    us = 0.001;
    usec = 0.001;
    ms = 1;
    msec = 1;
    "" = 1000;
    s = 1000;
    sec = 1000;
    second = 1000;
    seconds = 1000;
    m = 60000;
    min = 60000;
    minute = 60000;
    minutes = 60000;
    h = 3600000;
    hr = 3600000;
    hour = 3600000;
    hours = 3600000;
    d = 86400000;
    day = 86400000;
    days = 86400000;
    w = 604800000;
    week = 604800000;
    weeks = 604800000;
    month = 2629800000;
    months = 2629800000;
    y = 31557600000;
    year = 31557600000;
    years = 31557600000;
  };

  number =
    text:
    lib.toInt (
      let
        rest = match "0*([0-9]+)" text;
      in
      lib.head rest
    );

  span =
    where: text: sum:
    let
      parts = match "[[:space:]]*([0-9]+)[[:space:]]*([a-z]*)[[:space:]]*([0-9].*)?" text;
      unit = lib.elemAt parts 1;
      rest = lib.elemAt parts 2;
      total = sum + number (lib.head parts) * units.${unit};
    in
    if parts == null || !(units ? ${unit}) then
      throw "${where}: '${text}' is no time; examples are 90, 5s, 1min 30s, 250ms"
    else if rest == null then
      total
    else
      span where rest total;

  truths = {
    yes = true;
    "1" = true;
    true = true;
    on = true;
    no = false;
    "0" = false;
    false = false;
    off = false;
  };

  sizes = {
    "" = 1;
    K = 1024;
    M = 1048576;
    G = 1073741824;
    T = 1099511627776;
  };
in
rec {
  # Milliseconds; `null` for `infinity`. A number is seconds.
  milliseconds =
    where: value:
    if isInt value then
      value * 1000
    else if value == "infinity" then
      null
    else
      builtins.floor (span where (toString value) 0);

  boolean =
    where: value:
    if isBool value then
      value
    else
      truths.${toString value} or (throw "${where}: '${toString value}' is neither true nor false");

  # Bytes; `null` for `infinity`.
  bytes =
    where: value:
    let
      parts = match "([0-9]+)([KMGT]?)B?" (toString value);
    in
    if isInt value then
      value
    else if value == "infinity" then
      null
    else if parts == null then
      throw "${where}: '${toString value}' is no size; examples are 4096, 64K, 2G"
    else
      number (lib.head parts) * sizes.${lib.elemAt parts 1};

  integer =
    where: value:
    if isInt value then
      value
    else if match "-?[0-9]+" (toString value) != null then
      (if lib.hasPrefix "-" value then -number (lib.removePrefix "-" value) else number value)
    else
      throw "${where}: '${toString value}' is no number";

  # A value, or a list of them, in which an empty one takes away what came before.
  list =
    value:
    if value == null then
      [ ]
    else
      lib.foldl' (all: item: if item == "" then [ ] else all ++ [ item ]) [ ] (lib.toList value);

  # A list of words, over all values.
  wordsOf = value: lib.concatMap (item: words.list (toString item)) (list value);

  # What lines of words leave of some set, or `null` if they say nothing: the words, or all `except` them. A line that
  # begins with `~` takes away what others before it have given, and the other way round.
  choice =
    value:
    let
      step =
        before: line:
        let
          isLess = lib.hasPrefix "~" line;
          words = wordsOf (lib.removePrefix "~" line);
          except = if before == null then isLess else before.except;
          given = if before == null then [ ] else before.words;
        in
        {
          inherit except;
          words = if isLess == except then lib.unique (given ++ words) else lib.subtractLists words given;
        };
    in
    lib.foldl' step null (map toString (list value));

  # The last value of those that may stand alone.
  last = value: if isList value then lib.last value else value;

  # `%n` and its kin, for the unit of this name (without `.service`).
  specifiers =
    name: where: text:
    let
      instance = match "([^@]*)@(.*)" name;
      known = {
        n = "${name}.service";
        N = name;
        p = if instance == null then name else lib.head instance;
        i = if instance == null then "" else lib.elemAt instance 1;
        I = if instance == null then "" else words.unescaped (lib.elemAt instance 1);
        T = "/tmp";
        V = "/var/tmp";
      }
      // (
        if scope == "user" then
          lib.genAttrs [ "u" "U" "h" "s" "t" "S" "C" "L" "E" "%" ] (letter: "%${letter}")
        else
          {
            t = "/run";
            S = "/var/lib";
            C = "/var/cache";
            L = "/var/log";
            E = "/etc";
            d = "/run/credentials/${name}";
            u = "root";
            U = "0";
            h = "/root";
            s = "/bin/sh";
            "%" = "%";
          }
      );
      parts = builtins.split "%(.)" text;
      part =
        part:
        if isList part then
          known.${lib.head part} or (throw "${where}: '%${lib.head part}' is not supported; known are ${
            lib.concatMapStringsSep " " (letter: "%${letter}") (lib.attrNames known)
          }")
        else
          part;
    in
    # What is taken apart by patterns forgets what it was made of.
    if lib.hasInfix "%" text then
      lib.addContextFrom text (lib.concatStrings (map part parts))
    else
      text;

  inherit (words) split;

  # The commands of a line, each with its prefixes.
  commands =
    name: where: line:
    let
      found = words.commands where (toString line);
    in
    if found == [ ] then
      throw "${where}: there is nothing to execute"
    else
      map (command name where line) found;

  command =
    name: where: line: all:
    let
      parts = match "([-@:+!|]*)(.*)" (lib.head all);
      prefix = lib.head parts;
      has = character: lib.hasInfix character prefix;
      # Patterns forget what a text was made of: every word has all of it.
      argv = map (word: lib.addContextFrom (toString line) (specifiers name where word)) (
        [ (lib.elemAt parts 1) ] ++ lib.tail all
      );
      # With `@`, the second word is what the program sees as its name.
      named = has "@" && lib.length argv > 1;
      rest = if named then [ (lib.head argv) ] ++ lib.drop 2 argv else argv;
    in
    if has "|" then
      throw "${where}: the prefix '|' is not supported: there is no login shell"
    else if !(lib.hasPrefix "/" (lib.head argv)) then
      throw "${where}: '${lib.head argv}' is no absolute path; name the program of a package, such as \${pkgs.coreutils}/bin/true"
    else
      {
        argv = rest;
        argv0 = if named && lib.elemAt argv 1 != lib.head argv then lib.elemAt argv 1 else null;
        expand = !(has ":") && lib.any (lib.hasInfix "$") rest;
        asRoot = has "+" || has "!";
        ignoreFailure = has "-";
      };
}

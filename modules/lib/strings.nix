# Strings: joining, searching, escaping, converting.
{ lib }:

let
  inherit (builtins)
    concatMap
    concatStringsSep
    elemAt
    filter
    foldl'
    genList
    head
    isAttrs
    isFloat
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    match
    replaceStrings
    split
    stringLength
    substring
    tail
    toJSON
    typeOf
    unsafeDiscardStringContext
    ;
  inherit (lib.lists)
    imap1
    last
    ;
  inherit (lib.trivial) min;
in
rec {
  inherit (builtins)
    compareVersions
    concatStringsSep
    elem
    elemAt
    filter
    fromJSON
    genList
    head
    isInt
    isList
    isAttrs
    isPath
    isString
    length
    match
    parseDrvName
    readFile
    replaceStrings
    split
    storeDir
    stringLength
    substring
    tail
    toJSON
    typeOf
    unsafeDiscardStringContext
    ;

  # -- joining
  join = concatStringsSep;
  concatStrings = concatStringsSep "";
  concatMapStrings = f: list: concatStringsSep "" (map f list);
  concatImapStrings = f: list: concatStringsSep "" (imap1 f list);
  concatMapStringsSep =
    separator: f: list:
    concatStringsSep separator (map f list);
  concatImapStringsSep =
    separator: f: list:
    concatStringsSep separator (imap1 f list);
  concatMapAttrsStringSep =
    separator: f: set:
    concatStringsSep separator (lib.mapAttrsToList f set);
  # Each line ends in a newline, the last too.
  concatLines = concatMapStrings (line: line + "\n");
  intersperse =
    separator: list:
    if length list < 2 then
      list
    else
      tail (
        concatMap (x: [
          separator
          x
        ]) list
      );
  replicate = n: s: concatStrings (lib.lists.replicate n s);
  optionalString = condition: string: if condition then string else "";
  makeSearchPath =
    subdirectory: paths:
    concatMapStringsSep ":" (path: path + "/" + subdirectory) (filter (x: x != null) paths);
  makeSearchPathOutput =
    output: subdirectory: packages:
    makeSearchPath subdirectory (map (lib.getOutput output) packages);
  makeLibraryPath = makeSearchPathOutput "lib" "lib";
  makeIncludePath = makeSearchPathOutput "dev" "include";
  makeBinPath = makeSearchPathOutput "bin" "bin";
  normalizePath =
    s:
    let
      parts = split "/+" s;
    in
    concatStringsSep "/" (filter isString parts);

  # -- searching
  hasPrefix = prefix: s: substring 0 (stringLength prefix) s == prefix;
  hasSuffix =
    suffix: s:
    let
      long = stringLength s;
      short = stringLength suffix;
    in
    long >= short && substring (long - short) short s == suffix;
  hasInfix = infix: s: match ".*${escapeRegex infix}.*" "${s}" != null;
  removePrefix = prefix: s: if hasPrefix prefix s then substring (stringLength prefix) (-1) s else s;
  removeSuffix =
    suffix: s: if hasSuffix suffix s then substring 0 (stringLength s - stringLength suffix) s else s;
  splitString =
    separator: s:
    let
      parts = filter isString (split (escapeRegex (toString separator)) (toString s));
    in
    map (addContextFrom s) parts;
  splitStringBy =
    p: keep: s:
    let
      n = stringLength s;
      from =
        start: i: previous:
        if i == n then
          [ (substring start (-1) s) ]
        else
          let
            c = substring i 1 s;
          in
          if p previous c then
            [ (substring start (i - start) s) ] ++ from (if keep then i else i + 1) (i + 1) c
          else
            from start (i + 1) c;
    in
    from 0 0 "";
  commonPrefixLength =
    a: b:
    let
      n = min (stringLength a) (stringLength b);
      from = i: if i < n && substring i 1 a == substring i 1 b then from (i + 1) else i;
    in
    from 0;
  commonSuffixLength =
    a: b:
    let
      n = min (stringLength a) (stringLength b);
      at = s: i: substring (stringLength s - i - 1) 1 s;
      from = i: if i < n && at a i == at b i then from (i + 1) else i;
    in
    from 0;

  # The number of characters to insert, delete or replace to come from one string to the other.
  levenshtein =
    a: b:
    let
      as = stringToCharacters a;
      bs = stringToCharacters b;
      width = length bs;
      # From the row of distances for a prefix of `a` to the row for one character more.
      next =
        row: c:
        foldl' (
          new: j:
          let
            replaced = elemAt row j + (if elemAt bs j == c then 0 else 1);
            added = last new + 1;
            removed = elemAt row (j + 1) + 1;
          in
          new ++ [ (min replaced (min added removed)) ]
        ) [ (head row + 1) ] (genList (j: j) width);
    in
    last (foldl' next (genList (j: j) (width + 1)) as);
  levenshteinAtMost =
    k: a: b:
    let
      difference = stringLength a - stringLength b;
    in
    difference <= k && 0 - difference <= k && levenshtein a b <= k;

  # -- characters and case
  stringToCharacters = s: genList (i: substring i 1 s) (stringLength s);
  stringAsChars = f: s: concatStrings (map f (stringToCharacters s));
  lowerChars = stringToCharacters "abcdefghijklmnopqrstuvwxyz";
  upperChars = stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  toLower = replaceStrings upperChars lowerChars;
  toUpper = replaceStrings lowerChars upperChars;
  toSentenceCase =
    s:
    if s == "" then "" else addContextFrom s (toUpper (substring 0 1 s) + toLower (substring 1 (-1) s));
  toCamelCase =
    s:
    let
      words = filter (w: isString w && w != "") (split "[^a-zA-Z0-9]+" s);
      capital = w: toUpper (substring 0 1 w) + substring 1 (-1) w;
      first = head words;
    in
    if words == [ ] then
      ""
    else
      toLower (substring 0 1 first) + substring 1 (-1) first + concatMapStrings capital (tail words);
  charToInt =
    let
      # No character has the code 0 in a string of Nix.
      printable = stringToCharacters " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
      codes =
        listToAttrs (
          imap1 (i: name: {
            inherit name;
            value = i + 31;
          }) printable
        )
        // {
          "\t" = 9;
          "\n" = 10;
          "\r" = 13;
        };
    in
    c: codes.${c} or (throw "charToInt: not a character of ASCII text: ${toJSON c}");
  isAscii = s: match "[\t\n\r -~]*" s != null;

  # -- white space
  trim = trimWith {
    start = true;
    end = true;
  };
  trimWith =
    {
      start ? false,
      end ? false,
    }:
    s:
    let
      space = " \t\r\n";
      pattern =
        if start && end then
          "[${space}]*(.*[^${space}])[${space}]*"
        else if start then
          "[${space}]*(.*)"
        else if end then
          "(.*[^${space}])[${space}]*"
        else
          "(.*)";
      found = match pattern s;
    in
    optionalString (found != null) (head found);
  fixedWidthString =
    width: filler: s:
    let
      n = stringLength s;
    in
    if n > width then
      throw "fixedWidthString: ${toJSON s} is longer than ${toString width} characters"
    else if n == width then
      s
    else
      filler + fixedWidthString (width - stringLength filler) filler s;
  fixedWidthNumber = width: n: fixedWidthString width "0" (toString n);

  # -- escaping
  escape = list: replaceStrings list (map (c: "\\${c}") list);
  escapeC =
    list:
    replaceStrings list (
      map (c: "\\x${fixedWidthString 2 "0" (toLower (lib.toHexString (charToInt c)))}") list
    );
  escapeURL =
    let
      reserved = stringToCharacters " !\"#$%&'()*+,/:;<=>?@[\\]^`{|}";
    in
    replaceStrings reserved (
      map (c: "%${fixedWidthString 2 "0" (lib.toHexString (charToInt c))}") reserved
    );
  escapeShellArg =
    value:
    let
      s = toString value;
    in
    if match "[[:alnum:],._+:@%/-]+" s != null then s else "'${replaceStrings [ "'" ] [ "'\\''" ] s}'";
  escapeShellArgs = concatMapStringsSep " " escapeShellArg;
  isValidPosixName = name: match "[a-zA-Z_][a-zA-Z0-9_]*" name != null;
  toShellVar =
    name: value:
    lib.throwIfNot (isValidPosixName name)
      "toShellVar: ${toJSON name} is not a valid name of a shell variable"
      (
        if isAttrs value && !isStringLike value then
          "declare -A ${name}=(${
            concatStringsSep " " (lib.mapAttrsToList (n: v: "[${escapeShellArg n}]=${escapeShellArg v}") value)
          })"
        else if isList value then
          "declare -a ${name}=(${escapeShellArgs value})"
        else
          "${name}=${escapeShellArg value}"
      );
  toShellVars = vars: concatStringsSep "\n" (lib.mapAttrsToList toShellVar vars);
  escapeNixString = s: escape [ "$" ] (toJSON s);
  escapeRegex = escape (stringToCharacters "\\[{()^$?*+|.");
  escapeXML = replaceStrings [ "\"" "'" "<" ">" "&" ] [ "&quot;" "&apos;" "&lt;" "&gt;" "&amp;" ];
  # A name that Nix reads as an attribute's name without quotes, or else with them.
  escapeNixIdentifier =
    let
      keywords = [
        "assert"
        "else"
        "if"
        "in"
        "inherit"
        "let"
        "or"
        "rec"
        "then"
        "with"
      ];
    in
    s:
    if match "[a-zA-Z_][a-zA-Z0-9_'-]*" s != null && !builtins.elem s keywords then
      s
    else
      escapeNixString s;

  # -- contexts and paths
  addContextFrom = src: target: substring 0 0 src + target;
  isStringLike = x: isString x || isPath x || x ? outPath || x ? __toString;
  isCoercibleToString = isConvertibleWithToString;
  isConvertibleWithToString =
    let
      simple = [
        "null"
        "int"
        "float"
        "bool"
      ];
    in
    x:
    isStringLike x
    || builtins.elem (typeOf x) simple
    || (isList x && builtins.all isConvertibleWithToString x);
  isStorePath =
    x:
    isStringLike x
    && (
      let
        s = toString x;
      in
      substring 0 1 s == "/" && dirOf s == builtins.storeDir
    );
  sanitizeDerivationName =
    s:
    let
      text = unsafeDiscardStringContext s;
      kept = concatMapStrings (part: if isList part then "-" else part) (
        split "[^[:alnum:]+._?=-]+" (head (match "\\.*(.*)" text))
      );
      n = stringLength kept;
      short = substring (lib.max (n - 207) 0) (-1) kept;
    in
    if stringLength text <= 207 && match "[[:alnum:]+_?=-][[:alnum:]+._?=-]*" text != null then
      text
    else if short == "" then
      "unknown"
    else
      short;
  readPathsFromFile =
    root: file:
    map (path: root + "/${path}") (
      filter (line: line != "" && !hasPrefix "#" line) (splitString "\n" (builtins.readFile file))
    );
  fileContents = file: removeSuffix "\n" (builtins.readFile file);

  # -- numbers
  toInt =
    s:
    let
      found = match "[[:space:]]*(-?[[:digit:]]+)[[:space:]]*" s;
      digits = head found;
    in
    if found == null then
      throw "toInt: ${toJSON s} is not a number"
    else if match "-?0[[:digit:]]+" digits != null then
      throw "toInt: ${toJSON s} is ambiguous: octal or decimal? toIntBase10 reads it as decimal"
    else
      builtins.fromJSON digits;
  toIntBase10 =
    s:
    let
      found = match "[[:space:]]*(-?)0*([[:digit:]]+)[[:space:]]*" s;
    in
    if found == null then
      throw "toIntBase10: ${toJSON s} is not a number"
    else
      builtins.fromJSON (concatStrings found);
  floatToString = x: if isFloat x then toJSON x else toString x;

  # -- versions and names of packages
  versionOlder = a: b: builtins.compareVersions b a == 1;
  versionAtLeast = a: b: !versionOlder a b;
  getName =
    x:
    if isString x then
      (builtins.parseDrvName x).name
    else
      x.pname or (builtins.parseDrvName x.name).name;
  getVersion =
    x:
    if isString x then
      (builtins.parseDrvName x).version
    else
      x.version or (builtins.parseDrvName x.name).version;
  nameFromURL =
    url: separator:
    let
      file = last (splitString "/" url);
    in
    head (splitString separator file);
  cmakeOptionType =
    type: feature: value:
    "-D${feature}:${toUpper type}=${value}";
  cmakeBool = feature: flag: cmakeOptionType "bool" feature (toUpper (lib.boolToString flag));
  cmakeFeature = cmakeOptionType "string";
  mesonOption = feature: value: "-D${feature}=${value}";
  mesonBool = feature: flag: mesonOption feature (lib.boolToString flag);
  mesonEnable = feature: flag: mesonOption feature (if flag then "enabled" else "disabled");
  enableFeature = flag: feature: "--${if flag then "enable" else "disable"}-${feature}";
  enableFeatureAs =
    flag: feature: value:
    enableFeature flag feature + optionalString flag "=${value}";
  withFeature = flag: feature: "--${if flag then "with" else "without"}-${feature}";
  withFeatureAs =
    flag: feature: value:
    withFeature flag feature + optionalString flag "=${value}";
}

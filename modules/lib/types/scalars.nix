# Types of single values: Booleans, numbers, strings, paths, packages, and values without a form.
{ lib }:

let
  inherit (builtins)
    elem
    foldl'
    hasContext
    head
    isAttrs
    isBool
    isFloat
    isInt
    isPath
    isString
    length
    match
    substring
    typeOf
    ;
  inherit (lib)
    getValues
    isDerivation
    isStorePath
    isStringLike
    mergeEqualOption
    mergeOneOption
    types
    ;
  inherit (lib.optionTypes) defaultFunctor describeNoun makeType;

  noun =
    name: description: check: attrs:
    makeType (
      {
        inherit name description check;
        descriptionClass = "noun";
        merge = mergeEqualOption;
      }
      // attrs
    );
  anyValue = _: true;

  # A type whose values are further restricted, under another name.
  restricted =
    type: check: attrs:
    addCheck type check // attrs;
  addCheck = type: check: type // { check = x: type.check x && check x; };
in
rec {
  inherit addCheck;

  # -- values without a form
  raw = noun "raw" "raw value" anyValue { merge = mergeOneOption; };
  unspecified = noun "unspecified" "unspecified value" anyValue { merge = lib.mergeDefaultOption; };
  anything = noun "anything" "anything" anyValue {
    merge =
      loc: defs:
      let
        kind = value: if isAttrs value && isStringLike value then "package" else typeOf value;
        kinds = lib.unique (map (def: kind def.value) defs);
      in
      if length kinds > 1 then
        throw (lib.diagnostics.conflict loc defs "they are of different kinds")
      else if head kinds == "set" then
        (types.lazyAttrsOf anything).merge loc defs
      else if head kinds == "package" then
        mergeOneOption loc defs
      else if head kinds == "lambda" then
        x: anything.merge (loc ++ [ "<function body>" ]) (map (def: def // { value = def.value x; }) defs)
      else
        mergeEqualOption loc defs;
  };

  # -- Booleans and numbers
  bool = noun "bool" "boolean" isBool { };
  boolByOr = noun "boolByOr" "boolean (merged using or)" isBool {
    merge = _: foldl' (sum: def: sum || def.value) false;
  };
  int = noun "int" "signed integer" isInt { };
  float = noun "float" "floating point number" isFloat { };
  number = types.either int float;
  ints =
    let
      between =
        lowest: highest:
        if lowest > highest then
          throw "ints.between: lowest must be smaller than highest"
        else
          restricted int (x: x >= lowest && x <= highest) {
            name = "intBetween";
            description = "integer between ${toString lowest} and ${toString highest} (both inclusive)";
          };
      ofBits =
        name: kind: bits: lowest: highest:
        between lowest highest
        // {
          name = "${name}${toString bits}";
          description = "${toString bits} bit ${kind} integer; between ${toString lowest} and ${toString highest} (both inclusive)";
        };
      unsignedOf = bits: size: ofBits "unsignedInt" "unsigned" bits 0 (size - 1);
      signedOf = bits: size: ofBits "signedInt" "signed" bits (0 - size / 2) (size / 2 - 1);
    in
    {
      inherit between;
      unsigned = restricted int (x: x >= 0) {
        name = "unsignedInt";
        description = "unsigned integer, meaning >=0";
        descriptionClass = "nonRestrictiveClause";
      };
      positive = restricted int (x: x > 0) {
        name = "positiveInt";
        description = "positive integer, meaning >0";
        descriptionClass = "nonRestrictiveClause";
      };
      u8 = unsignedOf 8 256;
      u16 = unsignedOf 16 65536;
      u32 = unsignedOf 32 4294967296;
      s8 = signedOf 8 256;
      s16 = signedOf 16 65536;
      s32 = signedOf 32 4294967296;
    };
  numbers = {
    between =
      lowest: highest:
      if lowest > highest then
        throw "numbers.between: lowest must be smaller than highest"
      else
        restricted number (x: x >= lowest && x <= highest) {
          name = "numberBetween";
          description = "integer or floating point number between ${builtins.toJSON lowest} and ${builtins.toJSON highest} (both inclusive)";
        };
    nonnegative = restricted number (x: x >= 0) {
      name = "numberNonnegative";
      description = "nonnegative integer or floating point number, meaning >=0";
      descriptionClass = "nonRestrictiveClause";
    };
    positive = restricted number (x: x > 0) {
      name = "numberPositive";
      description = "positive integer or floating point number, meaning >0";
      descriptionClass = "nonRestrictiveClause";
    };
  };
  port = ints.u16;

  # -- strings
  str = noun "str" "string" isString { };
  nonEmptyStr = noun "nonEmptyStr" "non-empty string" (
    x: isString x && match "[ \t\n]*" x == null
  ) { };
  # A newline at the end is allowed, and removed.
  singleLineStr = noun "singleLineStr" "(optionally newline-terminated) single-line string" (
    x: isString x && match "[^\n\r]*\n?" x != null
  ) { merge = loc: defs: lib.removeSuffix "\n" (mergeEqualOption loc defs); };
  strMatching =
    pattern:
    noun "strMatching ${lib.escapeNixString pattern}" "string matching the pattern ${pattern}"
      (x: isString x && match pattern x != null)
      {
        functor = defaultFunctor "strMatching" // {
          type = payload: strMatching payload.pattern;
          payload = { inherit pattern; };
          binOp = a: b: if a == b then a else null;
        };
      };
  separatedString =
    sep:
    noun "separatedString"
      (if sep == "" then "Concatenated string" else "strings concatenated with ${builtins.toJSON sep}")
      isString
      {
        merge = _: defs: lib.concatStringsSep sep (getValues defs);
        functor = defaultFunctor "separatedString" // {
          type = payload: separatedString payload.sep;
          payload = { inherit sep; };
          binOp = a: b: if a == b then a else null;
        };
      };
  lines = separatedString "\n";
  commas = separatedString ",";
  envVar = separatedString ":";
  string =
    lib.warn
      "The type `types.string' concatenates definitions silently; use `types.str' or `types.lines'"
      (separatedString "" // { name = "string"; });
  passwdEntry =
    type:
    restricted type (s: !(lib.hasInfix ":" s || lib.hasInfix "\n" s)) {
      name = "passwdEntry ${type.name}";
      description = "${describeNoun type}, not containing newlines or colons";
      descriptionClass = "nonRestrictiveClause";
    };
  enum =
    values:
    let
      show =
        v:
        if isString v then
          "\"${v}\""
        else if isInt v then
          toString v
        else if isBool v then
          lib.boolToString v
        else
          "<${typeOf v}>";
    in
    makeType {
      name = "enum";
      # An empty one is of use where others extend it.
      description =
        if values == [ ] then
          "impossible (empty enum)"
        else if length values == 1 then
          "value ${show (head values)} (singular enum)"
        else
          "one of ${lib.concatMapStringsSep ", " show values}";
      descriptionClass = if length values < 2 then "noun" else "conjunction";
      check = x: elem x values;
      merge = mergeEqualOption;
      functor = defaultFunctor "enum" // {
        type = payload: enum payload.values;
        payload = { inherit values; };
        binOp = a: b: { values = lib.unique (a.values ++ b.values); };
      };
    };

  # -- paths and packages
  path = noun "path" "path" (x: isStringLike x && substring 0 1 (toString x) == "/") { };
  pathInStore = noun "pathInStore" "path in the Nix store" (
    x: isStringLike x && match "${lib.escapeRegex builtins.storeDir}/[^.].*" (toString x) != null
  ) { };
  externalPath = noun "externalPath" "path not in the Nix store" (
    x: path.check x && !pathInStore.check x && !(isString x && hasContext x)
  ) { };
  pathWith =
    {
      inStore ? null,
      absolute ? null,
    }:
    noun "path"
      (
        (
          if absolute == null then
            ""
          else if absolute then
            "absolute "
          else
            "relative "
        )
        + "path"
        + (
          if inStore == null then
            ""
          else if inStore then
            " in the Nix store"
          else
            " not in the Nix store"
        )
      )
      (
        x:
        isStringLike x
        && (
          let
            isAbsolute = substring 0 1 (toString x) == "/";
            isInStore = pathInStore.check x || isString x && hasContext x;
          in
          (absolute == null || isAbsolute == absolute) && (inStore == null || isInStore == inStore)
        )
      )
      {
        functor = defaultFunctor "path" // {
          type = pathWith;
          payload = { inherit inStore absolute; };
          binOp = a: b: if a == b then a else null;
        };
      };
  package = noun "package" "package" (x: isDerivation x || isStorePath x) {
    merge =
      loc: defs:
      let
        value = mergeOneOption loc defs;
      in
      if isPath value || isString value && !hasContext value then lib.toDerivation value else value;
  };
  shellPackage = restricted package (x: isDerivation x && x ? shellPath) { };
  pkgs =
    restricted (types.unique { message = "a package set cannot be merged with another"; } types.attrs)
      (x: x._type or null == "pkgs")
      {
        name = "pkgs";
        descriptionClass = "noun";
        description = "Nixpkgs package set";
      };

  # The type of types.
  optionType = noun "optionType" "optionType" (x: isAttrs x && x._type or null == "option-type") {
    merge =
      loc: defs:
      if length defs == 1 then
        (head defs).value
      else
        (lib.modules.mergeOptionDecls loc (
          map (def: {
            inherit (def) file;
            options = lib.mkOption { type = def.value; };
          }) defs
        )).type;
  };
}

# Functions that belong to no type: composition, comparison, warnings, numbers, functions' arguments.
{ lib }:

let
  inherit (builtins)
    foldl'
    fromJSON
    fromTOML
    getEnv
    isAttrs
    readFile
    sub
    trace
    ;

  # The NixOS release whose option names and library this one follows.
  release = "25.11";

in
rec {
  inherit (builtins)
    pathExists
    readFile
    isBool
    isInt
    isFloat
    add
    sub
    lessThan
    seq
    deepSeq
    genericClosure
    bitAnd
    bitOr
    bitXor
    ;

  id = x: x;
  const = x: _: x;
  pipe = foldl' (value: f: f value);
  concat = x: y: x ++ y;
  "or" = x: y: x || y;
  and = x: y: x && y;
  xor = x: y: (!x) != (!y);
  flip =
    f: a: b:
    f b a;
  mergeAttrs = x: y: x // y;
  defaultTo = default: value: if value == null then default else value;
  mapNullable = f: value: if value == null then value else f value;

  bitNot = sub (-1);

  boolToString = b: if b then "true" else "false";
  boolToYesNo = b: if b then "yes" else "no";

  min = x: y: if x < y then x else y;
  max = x: y: if x > y then x else y;
  mod = base: int: base - int * (base / int);
  compare =
    a: b:
    if a < b then
      -1
    else if a > b then
      1
    else
      0;
  # First those for which `p` holds, ordered by `yes`; then the others, ordered by `no`.
  splitByAndCompare =
    p: yes: no: a: b:
    if p a then
      if p b then yes a b else -1
    else if p b then
      1
    else
      no a b;

  importJSON = path: fromJSON (readFile path);
  importTOML = path: fromTOML (readFile path);

  inherit release;
  version = release;
  versionSuffix = "";
  codeName = "Xantusia";
  oldestSupportedRelease = 2511;
  isInOldestRelease = release: release <= oldestSupportedRelease;
  oldestSupportedReleaseIsAtLeast = release: release <= oldestSupportedRelease;
  nixpkgsVersion = release;
  revisionWithDefault = default: default;
  inNixShell = getEnv "IN_NIX_SHELL" != "";
  inPureEvalMode = !(builtins ? currentSystem);

  # Warnings go to standard error. NIX_ABORT_ON_WARN makes them errors, to find where they come from.
  warn =
    builtins.warn or (
      let
        abortOnWarn = builtins.elem (getEnv "NIX_ABORT_ON_WARN") [
          "1"
          "true"
          "yes"
        ];
      in
      message: value:
      if abortOnWarn then
        throw "evaluation warning: ${message} (NIX_ABORT_ON_WARN is set)"
      else
        trace "evaluation warning: ${message}" value
    );
  warnIf = condition: message: if condition then warn message else id;
  warnIfNot = condition: message: if condition then id else warn message;
  throwIf = condition: message: if condition then throw message else id;
  throwIfNot = condition: message: if condition then id else throw message;
  info = message: trace "INFO: ${message}";
  showWarnings = warnings: value: builtins.foldl' (value: message: warn message value) value warnings;
  checkListOfEnum =
    what: valid: given:
    let
      unexpected = builtins.filter (x: !builtins.elem x valid) given;
      show = lib.concatMapStringsSep ", " (x: lib.generators.toPretty { multiline = false; } x);
    in
    throwIfNot (unexpected == [ ]) "${what}: ${show unexpected} unexpected; valid: ${show valid}";

  isFunction = f: builtins.isFunction f || isAttrs f && f ? __functor && isFunction (f.__functor f);
  functionArgs =
    f:
    if isAttrs f && f ? __functor then
      f.__functionArgs or (functionArgs (f.__functor f))
    else
      builtins.functionArgs f;
  setFunctionArgs = f: args: {
    __functor = _: f;
    __functionArgs = args;
  };
  toFunction = value: if isFunction value then value else _: value;
  mirrorFunctionArgs = like: f: setFunctionArgs f (functionArgs like);

  toBaseDigits =
    base: number:
    let
      digits = n: if n < base then [ n ] else digits (n / base) ++ [ (mod n base) ];
    in
    if base < 2 then
      throw "toBaseDigits: the base has to be at least 2, but is ${toString base}"
    else if number < 0 then
      throw "toBaseDigits: a negative number: ${toString number}"
    else
      digits number;
  toHexString =
    number:
    lib.concatMapStrings (digit: builtins.substring digit 1 "0123456789ABCDEF") (
      toBaseDigits 16 number
    );
  fromHexString =
    text:
    let
      digits = lib.stringToCharacters (lib.toLower (lib.removePrefix "0x" text));
      value = {
        "0" = 0;
        "1" = 1;
        "2" = 2;
        "3" = 3;
        "4" = 4;
        "5" = 5;
        "6" = 6;
        "7" = 7;
        "8" = 8;
        "9" = 9;
        a = 10;
        b = 11;
        c = 12;
        d = 13;
        e = 14;
        f = 15;
      };
    in
    foldl' (
      sum: digit:
      sum * 16
      + (value.${digit} or (throw "fromHexString: not a hexadecimal number: ${builtins.toJSON text}"))
    ) 0 digits;
}

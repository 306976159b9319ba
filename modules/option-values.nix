# What a configuration has set its options to, as data that can be compared with another's: the name
# of each option that people set, and its value. What cannot be data is said in words: a function, a
# package by its name, a value that is not defined.
{ lib, options }:
let
  inherit (builtins)
    deepSeq
    isAttrs
    isFunction
    isList
    isPath
    isString
    mapAttrs
    tryEval
    unsafeDiscardStringContext
    ;

  attempt =
    value:
    let
      result = tryEval (deepSeq value value);
    in
    if result.success then result.value else "<not defined>";

  show =
    value:
    if isFunction value then
      "<function>"
    else if isAttrs value then
      if value.type or null == "derivation" then
        "<package ${unsafeDiscardStringContext (value.name or "without a name")}>"
      else if value ? __functor then
        "<function>"
      else
        mapAttrs (_: show) value
    else if isList value then
      map show value
    else if isPath value then
      toString value
    else if isString value then
      unsafeDiscardStringContext value
    else
      value;

  shown =
    option:
    let
      internal = tryEval ((option.internal or false) || (option.visible or true) == false);
    in
    !(internal.success && internal.value);

  go =
    prefix: set:
    lib.concatLists (
      lib.mapAttrsToList (
        name: option:
        if lib.isOption option then
          lib.optional (shown option && option.isDefined) (
            lib.nameValuePair (lib.showOption (prefix ++ [ name ])) (attempt (show option.value))
          )
        else if isAttrs option then
          go (prefix ++ [ name ]) option
        else
          [ ]
      ) (removeAttrs set [ "_module" ])
    );
in
lib.listToAttrs (go [ ] options)

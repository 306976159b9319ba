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

  # About a configuration, not of it.
  aside = [
    "_module"
    "assertions"
    "warnings"
  ];

  # Deeper than any option is, so that a value that has itself in it comes to an end.
  depth = 16;

  show = showAt depth;

  showAt =
    left: value:
    if left == 0 then
      "<too deep>"
    else if isFunction value then
      "<function>"
    else if isAttrs value then
      if value.type or null == "derivation" then
        "<package ${unsafeDiscardStringContext (value.name or "without a name")}>"
      else if value ? __functor then
        "<function>"
      else
        mapAttrs (_: showAt (left - 1)) (removeAttrs value aside)
    else if isList value then
      map (showAt (left - 1)) value
    else if isPath value then
      toString value
    else if isString value then
      unsafeDiscardStringContext value
    else
      value;

  # What nobody sets, and what is no data: the package set itself, the modules of a variant. What
  # shows only itself in the reference is a whole machine of its own.
  shown =
    option:
    let
      hidden = tryEval (
        (option.internal or false)
        || builtins.elem (option.visible or true) [
          false
          "shallow"
        ]
        || builtins.elem (option.type.name or "") [
          "raw"
          "unspecified"
          "deferredModule"
          "pkgs"
        ]
      );
    in
    !(hidden.success && hidden.value);

  # A package that nobody has chosen need not be known: the lock does not have it unless it is used.
  unchosen =
    option:
    let
      packages = [
        "package"
        "shellPackage"
      ];
      type = option.type or { };
      element = type.nestedTypes.elemType or { };
    in
    option.highestPrio >= 1500
    && (builtins.elem (type.name or "") packages || builtins.elem (element.name or "") packages);

  go =
    prefix: set:
    lib.concatLists (
      lib.mapAttrsToList (
        name: option:
        if lib.isOption option then
          lib.optional (shown option && option.isDefined) (
            lib.nameValuePair (lib.showOption (prefix ++ [ name ])) (
              if unchosen option then "<default>" else attempt (show option.value)
            )
          )
        else if isAttrs option then
          go (prefix ++ [ name ]) option
        else
          [ ]
      ) (removeAttrs set aside)
    );
in
lib.listToAttrs (go [ ] options)

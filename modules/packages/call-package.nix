# Functions of packages: arguments are taken from the package set by their names.
final: _:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    functionArgs
    intersectAttrs
    isFunction
    mapAttrs
    ;

  callWith =
    scope: file: arguments:
    let
      function = if isFunction file then file else import file;
      wanted = functionArgs function;
      given = intersectAttrs wanted scope // arguments;
      missing = filter (name: !wanted.${name} && !(given ? ${name})) (attrNames wanted);
      place = if isFunction file then "a function" else toString file;
    in
    if missing != [ ] then
      throw "${place} asks for ${concatStringsSep ", " missing}, which neither pkgs nor the arguments of callPackage have"
    else
      overridable function given;

  # The result of `function arguments`, which can be called again with other arguments.
  overridable =
    function: arguments:
    let
      result = function arguments;
      change =
        new:
        overridable function (arguments // (if isFunction new then new arguments else new));
    in
    if builtins.isAttrs result then
      result
      // {
        override = change;
      }
      // (
        if result ? overrideAttrs then
          { overrideAttrs = new: overridable (args: (function args).overrideAttrs new) arguments; }
        else
          { }
      )
    else
      result;
in
{
  callPackage = callWith final;
  callPackages = callWith final;
  makeOverridable = overridable;

  # A set of packages that see each other: `newScope { inherit x; }` is a callPackage that knows x.
  newScope = extra: callWith (final // extra);

  # The package set with one more overlay.
  extend =
    overlay:
    import ./. {
      inherit (final) lib config;
      inherit (final.cairnFacts) packages programs;
      overlays = final.overlays ++ [ overlay ];
    };

  recurseIntoAttrs = set: set // { recurseForDerivations = true; };
  dontRecurseIntoAttrs = set: set // { recurseForDerivations = false; };
}

# Functions whose arguments can be changed after they were called, and sets that fill in arguments.
{ lib }:

let
  inherit (builtins)
    attrNames
    intersectAttrs
    isAttrs
    mapAttrs
    removeAttrs
    ;
in
rec {
  # The result of `f args`, with `override` to call `f` again with other arguments.
  makeOverridable =
    f:
    lib.mirrorFunctionArgs f (
      args:
      let
        result = f args;
        with' = more: args // (if lib.isFunction more then more args else more);
        override = lib.mirrorFunctionArgs f (more: makeOverridable f (with' more));
        overrideResult = g: makeOverridable (lib.mirrorFunctionArgs f (args: g (f args))) args;
      in
      if isAttrs result then
        result
        // {
          inherit override;
          overrideDerivation = g: overrideResult (drv: overrideDerivation drv g);
        }
        // lib.optionalAttrs (result ? overrideAttrs) {
          overrideAttrs = g: overrideResult (drv: drv.overrideAttrs g);
        }
      else if lib.isFunction result then
        lib.setFunctionArgs result (lib.functionArgs result) // { inherit override; }
      else
        result
    );
  overrideDerivation =
    drv: f:
    let
      made = derivation (drv.drvAttrs // f drv);
    in
    lib.flip (extendDerivation (builtins.seq drv.drvPath true)) made (
      lib.optionalAttrs (drv ? meta) { inherit (drv) meta; }
      // lib.optionalAttrs (drv ? passthru) drv.passthru or { }
    );
  extendDerivation =
    condition: passthru: drv:
    let
      outputs = drv.outputs or [ "out" ];
      named = lib.genAttrs outputs (
        name:
        common
        // {
          inherit (drv.${name}) type outputName;
          outputSpecified = true;
          outPath =
            assert condition;
            drv.${name}.outPath;
          drvPath =
            assert condition;
            drv.${name}.drvPath;
        }
      );
      common = drv // named // { all = map (name: named.${name}) outputs; } // passthru;
    in
    common
    // {
      drvPath =
        assert condition;
        drv.drvPath;
      outPath =
        assert condition;
        drv.outPath;
    };

  # Calls a function, or what a file holds, with the arguments that it names.
  callPackageWith =
    available: fn: given:
    let
      f = if lib.isFunction fn then fn else import fn;
      wanted = lib.functionArgs f;
      args = intersectAttrs wanted available // given;
      missing = lib.filter (name: !wanted.${name} && !(args ? ${name})) (attrNames wanted);
      suggestion =
        name:
        let
          near = lib.take 3 (lib.diagnostics.nearest name (attrNames available));
        in
        if near == [ ] then
          "`${name}'"
        else
          "`${name}' (did you mean ${lib.concatMapStringsSep " or " (n: "`${n}'") near}?)";
    in
    if missing == [ ] then
      makeOverridable f args
    else
      throw "callPackage: nothing provides the argument ${
        lib.concatMapStringsSep ", " suggestion missing
      } of ${if lib.isFunction fn then "the function" else toString fn}";
  callPackagesWith =
    available: fn: given:
    let
      f = if lib.isFunction fn then fn else import fn;
      args = intersectAttrs (lib.functionArgs f) available // given;
      result = f args;
    in
    mapAttrs (name: _: (makeOverridable (args: (f args).${name}) args)) (
      removeAttrs result [
        "override"
        "overrideDerivation"
      ]
    );
  makeScope =
    newScope: f:
    let
      self = f self // {
        newScope = more: newScope (self // more);
        callPackage = self.newScope { };
        overrideScope = overlay: makeScope newScope (lib.extends overlay f);
        packages = f;
      };
    in
    self;
  hydraJob = drv: drv;
}

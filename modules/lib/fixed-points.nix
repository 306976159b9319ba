# Functions that take their own result: recursion that others can extend from outside.
{ ... }:

rec {
  fix =
    f:
    let
      self = f self;
    in
    self;
  # Like `fix`, and the function that made it stays reachable, so that it can be extended.
  fix' =
    f:
    let
      self = f self // {
        __unfix__ = f;
      };
    in
    self;
  converge =
    f: x:
    let
      next = f x;
    in
    if next == x then x else converge f next;

  extends =
    overlay: f: final:
    let
      prev = f final;
    in
    prev // overlay final prev;
  composeExtensions =
    f: g: final: prev:
    let
      first = f final prev;
    in
    first // g final (prev // first);
  composeManyExtensions = builtins.foldl' composeExtensions (_: _: { });

  makeExtensible = makeExtensibleWithCustomName "extend";
  makeExtensibleWithCustomName =
    name: f:
    fix' (
      self: f self // { ${name} = overlay: makeExtensibleWithCustomName name (extends overlay f); }
    );
  toExtension =
    f:
    if builtins.isFunction f then
      final: prev:
      let
        once = f prev;
      in
      if builtins.isFunction once then f final prev else once
    else
      _: _: f;
}

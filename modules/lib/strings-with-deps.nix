# Pieces of text that name what has to come before them, as activation scripts do.
{ lib }:

let
  inherit (builtins)
    attrNames
    isAttrs
    ;
in
rec {
  fullDepEntry = text: deps: { inherit text deps; };
  noDepEntry = text: fullDepEntry text [ ];
  packEntry = fullDepEntry "";
  stringAfter = deps: text: fullDepEntry text deps;

  # The texts of `names` in `pieces` and of all that they depend on, each once, dependencies first.
  textClosureList =
    pieces: names:
    let
      step =
        path: state: name:
        let
          piece =
            pieces.${name}
              or (throw "`${name}' is named as a dependency, but there is no such piece; there are: ${toString (attrNames pieces)}");
          deps = if isAttrs piece then piece.deps or [ ] else [ ];
          after = lib.foldl' (step (path ++ [ name ])) (
            state
            // {
              done = state.done // {
                ${name} = true;
              };
            }
          ) deps;
        in
        if builtins.elem name path then
          throw "pieces depend on each other in a circle: ${lib.concatStringsSep " -> " (path ++ [ name ])}"
        else if state.done ? ${name} then
          state
        else
          after // { texts = after.texts ++ [ (if isAttrs piece then piece.text else piece) ]; };
      start = {
        done = { };
        texts = [ ];
      };
    in
    (lib.foldl' (step [ ]) start names).texts;
  textClosureMap =
    f: pieces: names:
    lib.concatStringsSep "\n" (map f (textClosureList pieces names));
}

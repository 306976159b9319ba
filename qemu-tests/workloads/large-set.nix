# One set of 10^6 attributes.
let
  set = builtins.listToAttrs (builtins.genList (i: { name = "n${toString i}"; value = i; }) 1000000);
in
builtins.length (builtins.attrNames set) + set.n4711

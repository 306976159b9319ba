# Sets of 2 x 10^5 attributes: made from a list, mapped, updated, looked up, taken apart.
let
  names = builtins.genList (i: "name-${toString i}") 200000;
  set = builtins.listToAttrs (map (name: { inherit name; value = builtins.stringLength name; }) names);
  mapped = builtins.mapAttrs (name: value: { inherit name value; }) set;
  both = set // builtins.intersectAttrs { name-1 = null; name-5 = null; } mapped // { other = 1; };
  kept = builtins.removeAttrs both [ "name-1" "name-5" "other" ];
in
builtins.foldl' (sum: name: sum + kept.${name} + mapped.${name}.value) 0 (builtins.attrNames kept)

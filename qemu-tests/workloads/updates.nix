# A set that grows by one attribute at a time, and small sets laid over one another.
let
  grown = builtins.foldl' (set: i: set // { "name${toString i}" = i; }) { } (builtins.genList (i: i) 5000);
  defaults = { a = 1; b = 2; c = 3; d = 4; e = 5; f = 6; };
  layered = i: (defaults // { a = i; g = i; } // { h = i; }).h;
in
builtins.foldl' (sum: i: sum + layered i) (builtins.length (builtins.attrNames grown)) (builtins.genList (i: i) 200000)

# A text of 10 MB from 3 x 10^5 pieces.
let
  line = i: "line ${toString i}: ${if i / 2 * 2 == i then "even" else "odd"}\n";
  text = builtins.concatStringsSep "" (builtins.genList line 300000);
  replaced = builtins.replaceStrings [ "line" "odd" ] [ "row" "uneven" ] text;
in
builtins.stringLength text + builtins.stringLength replaced
+ builtins.foldl' (sum: i: sum + builtins.stringLength (builtins.substring (i * 10) 10 text)) 0
  (builtins.genList (i: i) 1000)

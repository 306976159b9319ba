# Lists of 10^5 to 10^6 elements: made, mapped, filtered, sorted, folded.
let
  numbers = builtins.genList (i: i * 7 - (i * i) / 3) 1000000;
  odd = builtins.filter (n: n / 2 * 2 != n) (map (n: n + 1) numbers);
  some = builtins.genList (i: builtins.elemAt odd (i * 2)) 150000;
  sorted = builtins.sort (a: b: a < b) some;
in
builtins.foldl' (sum: n: sum + n) (builtins.length sorted) (sorted ++ odd)

{ lib }:
with lib;
{
  foldr = { expr = foldr (x: acc: x + acc) "!" [ "a" "b" "c" ]; expected = "abc!"; };
  foldl = { expr = foldl (acc: x: acc + x) "!" [ "a" "b" ]; expected = "!ab"; };
  foldl-strict-is-lazy-in-elements = { expr = foldl' (n: _: n + 1) 0 [ (throw "no") 1 ]; expected = 2; };
  imap = { expr = [ (imap0 (i: v: "${v}${toString i}") [ "a" "b" ]) (imap1 (i: v: "${v}${toString i}") [ "a" "b" ]) ]; expected = [ [ "a0" "b1" ] [ "a1" "b2" ] ]; };
  flatten = { expr = flatten [ 1 [ 2 [ 3 ] 4 ] 5 ]; expected = [ 1 2 3 4 5 ]; };
  remove = { expr = remove 3 [ 1 3 4 3 ]; expected = [ 1 4 ]; };
  find-single = { expr = [ (findSingle (x: x == 3) "none" "many" [ 1 3 3 ]) (findSingle (x: x == 3) "none" "many" [ 1 3 ]) (findSingle (x: x == 3) "none" "many" [ 9 ]) ]; expected = [ "many" 3 "none" ]; };
  find-first = { expr = [ (findFirst (x: x > 3) 7 [ 1 6 4 ]) (findFirst (x: x > 9) 7 [ 1 6 4 ]) ]; expected = [ 6 7 ]; };
  count = { expr = count (x: x == 3) [ 3 2 3 4 6 ]; expected = 2; };
  optional = { expr = optional true 1 ++ optional false 2 ++ optionals true [ 3 ] ++ optionals false [ 4 ]; expected = [ 1 3 ]; };
  to-list = { expr = [ (toList [ 1 ]) (toList "hi") ]; expected = [ [ 1 ] [ "hi" ] ]; };
  range = { expr = [ (range 2 4) (range 3 2) ]; expected = [ [ 2 3 4 ] [ ] ]; };
  replicate = { expr = replicate 3 "a"; expected = [ "a" "a" "a" ]; };
  partition = { expr = partition (x: x > 2) [ 5 1 2 3 4 ]; expected = { right = [ 5 3 4 ]; wrong = [ 1 2 ]; }; };
  group-by = { expr = groupBy' add 0 (x: boolToString (x > 2)) [ 5 1 2 3 4 ]; expected = { true = 12; false = 3; }; };
  zip = { expr = zipListsWith (a: b: a + b) [ "h" "l" ] [ "e" "o" "x" ]; expected = [ "he" "lo" ]; };
  reverse = { expr = reverseList [ "b" "o" "j" ]; expected = [ "j" "o" "b" ]; };
  toposort = {
    expr = [ (toposort hasPrefix [ "/home/user" "/other" "/" "/home" ]) (toposort (a: b: a < b) [ 3 2 1 ]) ];
    expected = [ { result = [ "/" "/home" "/home/user" "/other" ]; } { result = [ 1 2 3 ]; } ];
  };
  toposort-cycle = {
    expr = toposort (a: b: elem b ({ "1" = [ 2 ]; "2" = [ 3 ]; "3" = [ 1 ]; }.${toString a})) [ 1 2 3 ] ? cycle;
    expected = true;
  };
  natural-sort = { expr = naturalSort [ "disk11" "disk8" "disk100" "disk9" "a" ]; expected = [ "a" "disk8" "disk9" "disk11" "disk100" ]; };
  sort-on = { expr = sortOn stringLength [ "aa" "b" "cccc" ]; expected = [ "b" "aa" "cccc" ]; };
  compare-lists = { expr = map (compareLists compare [ 1 2 ]) [ [ 1 2 ] [ 1 3 ] [ 1 ] [ 1 2 3 ] ]; expected = [ 0 (-1) 1 (-1) ]; };
  sublists = { expr = [ (take 2 [ 1 2 3 ]) (drop 2 [ 1 2 3 ]) (sublist 1 3 [ 1 2 3 4 5 ]) (take 9 [ 1 ]) (drop 9 [ 1 ]) (takeEnd 2 [ 1 2 3 ]) (dropEnd 1 [ 1 2 ]) ]; expected = [ [ 1 2 ] [ 3 ] [ 2 3 4 ] [ 1 ] [ ] [ 2 3 ] [ 1 ] ]; };
  ends = { expr = [ (last [ 1 2 3 ]) (init [ 1 2 3 ]) ]; expected = [ 3 [ 1 2 ] ]; };
  prefixes = { expr = with lists; [ (hasPrefix [ 1 2 ] [ 1 2 3 ]) (removePrefix [ 1 ] [ 1 2 ]) (commonPrefix [ 1 2 3 ] [ 1 2 4 ]) ]; expected = [ true [ 2 ] [ 1 2 ] ]; };
  unique = { expr = [ (unique [ 3 2 3 4 ]) (allUnique [ 3 2 3 4 ]) (uniqueStrings [ "b" "a" "b" ]) ]; expected = [ [ 3 2 4 ] false [ "a" "b" ] ]; };
  sets = { expr = [ (intersectLists [ 1 2 3 ] [ 6 3 2 ]) (subtractLists [ 3 2 ] [ 1 2 3 4 5 3 ]) (mutuallyExclusive [ 1 ] [ 2 ]) ]; expected = [ [ 3 2 ] [ 1 4 5 ] true ]; };
  cross-lists = { expr = crossLists (x: y: "${x}${y}") [ [ "1" "2" ] [ "3" "4" ] ]; expected = [ "13" "14" "23" "24" ]; };
}

# Lists.
{ lib }:

let
  inherit (builtins)
    attrValues
    concatLists
    concatMap
    elem
    elemAt
    filter
    foldl'
    genList
    head
    isList
    length
    listToAttrs
    sort
    ;
  inherit (lib.trivial) max min;
in
rec {
  inherit (builtins)
    all
    any
    concatLists
    concatMap
    elem
    elemAt
    filter
    genList
    groupBy
    head
    isList
    length
    map
    partition
    sort
    tail
    ;

  singleton = x: [ x ];
  forEach = list: f: map f list;
  optional = condition: x: if condition then [ x ] else [ ];
  optionals = condition: list: if condition then list else [ ];
  toList = x: if isList x then x else [ x ];
  range = first: last: if first > last then [ ] else genList (n: first + n) (last - first + 1);
  replicate = n: x: genList (_: x) n;
  repeat = n: x: genList (_: x) n;

  foldr =
    op: nul: list:
    let
      n = length list;
      from = i: if i == n then nul else op (elemAt list i) (from (i + 1));
    in
    from 0;
  fold = foldr;
  foldl =
    op: nul: list:
    let
      upTo = i: if i == -1 then nul else op (upTo (i - 1)) (elemAt list i);
    in
    upTo (length list - 1);
  # The first accumulator is forced too: nothing of a long chain is left for later.
  foldl' = op: acc: builtins.seq acc (builtins.foldl' op acc);
  imap0 = f: list: genList (n: f n (elemAt list n)) (length list);
  imap1 = f: list: genList (n: f (n + 1) (elemAt list n)) (length list);
  ifilter0 =
    p: list: map (n: elemAt list n) (filter (n: p n (elemAt list n)) (genList (n: n) (length list)));
  concatImap = f: list: concatLists (imap1 f list);

  flatten = x: if isList x then concatMap flatten x else [ x ];
  remove = e: filter (x: x != e);
  count = p: builtins.foldl' (n: x: if p x then n + 1 else n) 0;

  findSingle =
    p: default: multiple: list:
    let
      found = filter p list;
    in
    if found == [ ] then
      default
    else if length found == 1 then
      head found
    else
      multiple;
  findFirstIndex =
    p: default: list:
    let
      n = length list;
      from =
        i:
        if i == n then
          default
        else if p (elemAt list i) then
          i
        else
          from (i + 1);
    in
    from 0;
  findFirst =
    p: default: list:
    let
      index = findFirstIndex p null list;
    in
    if index == null then default else elemAt list index;

  groupBy' =
    op: nul: key: list:
    builtins.mapAttrs (_: builtins.foldl' op nul) (builtins.groupBy key list);

  zipListsWith =
    f: a: b:
    genList (n: f (elemAt a n) (elemAt b n)) (min (length a) (length b));
  zipLists = zipListsWith (fst: snd: { inherit fst snd; });
  crossLists = f: builtins.foldl' (fs: args: concatMap (f: map f args) fs) [ f ];
  cartesianProduct = lib.attrsets.cartesianProduct;

  reverseList =
    list:
    let
      n = length list;
    in
    genList (i: elemAt list (n - i - 1)) n;

  # Depth first search; `before a b` says that a has to come before b.
  listDfs =
    stopOnCycles: before: list:
    let
      visit =
        node: visited: rest:
        let
          loops = filter (x: before x node) visited;
          earlier = builtins.partition (x: before x node) rest;
        in
        if stopOnCycles && loops != [ ] then
          {
            cycle = node;
            inherit loops visited rest;
          }
        else if earlier.right == [ ] then
          {
            minimal = node;
            inherit visited rest;
          }
        else
          visit (head earlier.right) ([ node ] ++ visited) (builtins.tail earlier.right ++ earlier.wrong);
    in
    visit (head list) [ ] (builtins.tail list);
  toposort =
    before: list:
    let
      found = listDfs true before list;
      rest = toposort before (found.visited ++ found.rest);
    in
    if length list < 2 then
      { result = list; }
    else if found ? cycle then
      {
        cycle = reverseList ([ found.cycle ] ++ found.visited);
        inherit (found) loops;
      }
    else if rest ? cycle then
      rest
    else
      { result = [ found.minimal ] ++ rest.result; };

  compareLists =
    cmp: a: b:
    if a == [ ] then
      if b == [ ] then 0 else -1
    else if b == [ ] then
      1
    else
      let
        first = cmp (head a) (head b);
      in
      if first == 0 then compareLists cmp (builtins.tail a) (builtins.tail b) else first;
  # Digits compare as numbers: "n9" comes before "n10".
  naturalSort =
    list:
    let
      parts =
        s: map (x: if isList x then lib.toIntBase10 (head x) else x) (builtins.split "(0|[1-9][0-9]*)" s);
      keyed = map (s: {
        key = parts s;
        value = s;
      }) list;
      less = a: b: compareLists lib.compare a.key b.key < 0;
    in
    map (x: x.value) (sort less keyed);
  sortOn =
    key: list:
    map (x: x.value) (
      sort (a: b: a.key < b.key) (
        map (value: {
          key = key value;
          inherit value;
        }) list
      )
    );

  take = count: sublist 0 count;
  takeEnd = n: list: drop (max 0 (length list - n)) list;
  drop = count: list: sublist count (length list) list;
  dropEnd = n: list: take (max 0 (length list - n)) list;
  sublist =
    start: count: list:
    let
      n = length list;
    in
    genList (i: elemAt list (start + i)) (
      if start >= n then
        0
      else if start + count > n then
        n - start
      else
        count
    );
  hasPrefix = prefix: list: take (length prefix) list == prefix;
  removePrefix =
    prefix: list:
    if hasPrefix prefix list then
      drop (length prefix) list
    else
      throw "lib.lists.removePrefix: the first list is not a prefix of the second";
  commonPrefix =
    a: b:
    let
      same = findFirstIndex (pair: pair.fst != pair.snd) (min (length a) (length b)) (zipLists a b);
    in
    take same a;
  commonPrefixLength = a: b: length (commonPrefix a b);

  last =
    list:
    if list == [ ] then throw "lib.lists.last: the list is empty" else elemAt list (length list - 1);
  init =
    list:
    if list == [ ] then throw "lib.lists.init: the list is empty" else take (length list - 1) list;

  unique = builtins.foldl' (seen: e: if elem e seen then seen else seen ++ [ e ]) [ ];
  # For strings: linear, by way of an attribute set.
  uniqueStrings =
    list:
    builtins.attrNames (
      listToAttrs (
        map (name: {
          inherit name;
          value = null;
        }) list
      )
    );
  allUnique = list: length (unique list) == length list;
  intersectLists = e: filter (x: elem x e);
  subtractLists = e: filter (x: !elem x e);
  mutuallyExclusive = a: b: !builtins.any (x: elem x a) b;
  concatAttrValues = set: concatLists (attrValues set);
}

# Attribute sets.
{ lib }:

let
  inherit (builtins)
    all
    attrNames
    attrValues
    catAttrs
    concatMap
    elemAt
    filter
    foldl'
    getAttr
    hasAttr
    head
    intersectAttrs
    isAttrs
    length
    listToAttrs
    mapAttrs
    removeAttrs
    ;
in
rec {
  inherit (builtins)
    attrNames
    attrValues
    catAttrs
    getAttr
    hasAttr
    intersectAttrs
    isAttrs
    listToAttrs
    mapAttrs
    removeAttrs
    zipAttrsWith
    ;

  # -- paths of attributes
  attrByPath =
    path: default: set:
    let
      n = length path;
      from =
        i: x:
        if i == n then
          x
        else if isAttrs x && x ? ${elemAt path i} then
          from (i + 1) x.${elemAt path i}
        else
          default;
    in
    from 0 set;
  hasAttrByPath =
    path: set:
    let
      n = length path;
      from = i: x: i == n || isAttrs x && x ? ${elemAt path i} && from (i + 1) x.${elemAt path i};
    in
    from 0 set;
  longestValidPathPrefix =
    path: set:
    let
      n = length path;
      from =
        i: x: if i < n && isAttrs x && x ? ${elemAt path i} then from (i + 1) x.${elemAt path i} else i;
    in
    lib.take (from 0 set) path;
  setAttrByPath =
    path: value:
    let
      n = length path;
      from = i: if i == n then value else { ${elemAt path i} = from (i + 1); };
    in
    from 0;
  getAttrFromPath =
    path: set:
    attrByPath path (throw "cannot find the attribute `${lib.concatStringsSep "." path}'") set;
  concatMapAttrs = f: set: mergeAttrsList (attrValues (mapAttrs f set));
  # Changes values deep inside: a list of { path; update; }, each `update` a function of the old value.
  updateManyAttrsByPath =
    let
      apply =
        depth: updates: old:
        let
          here = builtins.partition (u: length u.path == depth) updates;
          deeper = builtins.groupBy (u: elemAt u.path depth) here.wrong;
          inner =
            if here.wrong == [ ] then
              old.value
            else
              let
                set = old.value or { };
              in
              set
              // mapAttrs (
                name: us: apply (depth + 1) us (if set ? ${name} then { value = set.${name}; } else { })
              ) deeper;
        in
        if here.right == [ ] then
          inner
        else
          foldl' (value: u: u.update value) (
            if here.wrong == [ ] && !(old ? value) then
              throw "updateManyAttrsByPath: no value at `${lib.showAttrPath (head here.right).path}'"
            else
              inner
          ) here.right;
    in
    updates: set: apply 0 updates { value = set; };

  attrVals = names: set: map (name: set.${name}) names;
  getAttrs = names: set: genAttrs names (name: set.${name});

  # -- filter, map, fold
  filterAttrs = p: set: removeAttrs set (filter (name: !p name set.${name}) (attrNames set));
  filterAttrsRecursive =
    p: set: mapAttrs (_: v: if isAttrs v then filterAttrsRecursive p v else v) (filterAttrs p set);
  foldlAttrs =
    f: init: set:
    foldl' (acc: name: f acc name set.${name}) init (attrNames set);
  foldAttrs =
    op: nul: sets:
    builtins.zipAttrsWith (_: lib.foldr op nul) sets;
  collect =
    p: x:
    if p x then
      [ x ]
    else if isAttrs x then
      concatMap (collect p) (attrValues x)
    else
      [ ];
  cartesianProduct =
    lists:
    foldl' (
      products: name: concatMap (set: map (value: set // { ${name} = value; }) lists.${name}) products
    ) [ { } ] (attrNames lists);
  cartesianProductOfSets = cartesianProduct;
  mapCartesianProduct = f: lists: map f (cartesianProduct lists);
  nameValuePair = name: value: { inherit name value; };
  mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
  mapAttrsToList = f: set: attrValues (mapAttrs f set);
  attrsToList = mapAttrsToList nameValuePair;
  mapAttrsRecursive = mapAttrsRecursiveCond (_: true);
  mapAttrsRecursiveCond =
    goOn: f:
    let
      from =
        path:
        mapAttrs (
          name: value:
          if isAttrs value && goOn value then from (path ++ [ name ]) value else f (path ++ [ name ]) value
        );
    in
    from [ ];
  mapAttrsToListRecursive = mapAttrsToListRecursiveCond (_: _: true);
  mapAttrsToListRecursiveCond =
    goOn: f:
    let
      from =
        path: value:
        if isAttrs value && goOn path value then
          concatMap (name: from (path ++ [ name ]) value.${name}) (attrNames value)
        else
          [ (f path value) ];
    in
    from [ ];
  genAttrs =
    names: f:
    listToAttrs (
      map (name: {
        inherit name;
        value = f name;
      }) names
    );
  genAttrs' = list: f: listToAttrs (map f list);
  invertAttrs = mapAttrs' (name: value: nameValuePair value name);

  # -- merge
  optionalAttrs = condition: set: if condition then set else { };
  zipAttrsWithNames =
    names: f: sets:
    genAttrs names (name: f name (catAttrs name sets));
  zipAttrs = builtins.zipAttrsWith (_: values: values);
  zipWithNames = zipAttrsWithNames;
  # A balanced tree of `//`: n log n instead of n².
  mergeAttrsList =
    sets:
    let
      between =
        start: end:
        if end - start >= 2 then
          let
            middle = start + (end - start) / 2;
          in
          between start middle // between middle end
        else
          elemAt sets start;
    in
    if sets == [ ] then { } else between 0 (length sets);
  recursiveUpdateUntil =
    stop: left: right:
    let
      at =
        path:
        builtins.zipAttrsWith (
          name: values:
          let
            here = path ++ [ name ];
          in
          if length values == 1 || stop here (elemAt values 1) (head values) then
            head values
          else
            at here values
        );
    in
    at
      [ ]
      [
        right
        left
      ];
  recursiveUpdate = recursiveUpdateUntil (
    _: l: r:
    !(isAttrs l && isAttrs r)
  );
  matchAttrs =
    pattern: set:
    all (
      name:
      set ? ${name}
      && (
        if isAttrs pattern.${name} then
          isAttrs set.${name} && matchAttrs pattern.${name} set.${name}
        else
          pattern.${name} == set.${name}
      )
    ) (attrNames pattern);
  overrideExisting = old: new: mapAttrs (name: value: new.${name} or value) old;
  unionOfDisjoint =
    x: y:
    let
      both = intersectAttrs x y;
    in
    x // y // mapAttrs (name: _: throw "unionOfDisjoint: both sets have the attribute `${name}'") both;

  showAttrPath =
    path:
    if path == [ ] then
      "<root attribute path>"
    else
      lib.concatMapStringsSep "." lib.escapeNixIdentifier path;

  # -- derivations
  isDerivation = value: value.type or null == "derivation";
  toDerivation =
    path:
    let
      path' = builtins.storePath path;
      self = {
        type = "derivation";
        name = lib.sanitizeDerivationName (builtins.substring 33 (-1) (baseNameOf path'));
        outPath = path';
        outputs = [ "out" ];
        out = self;
        outputName = "out";
      };
    in
    self;
  getOutput =
    name: pkg:
    if !(pkg ? outputSpecified) || !pkg.outputSpecified then pkg.${name} or pkg.out or pkg else pkg;
  getFirstOutput =
    candidates: pkg:
    let
      found = filter (name: pkg ? ${name}) candidates;
    in
    if pkg.outputSpecified or false || found == [ ] then pkg else pkg.${head found};
  getBin = getOutput "bin";
  getLib = getOutput "lib";
  getStatic = getFirstOutput [
    "static"
    "lib"
    "out"
  ];
  getDev = getOutput "dev";
  getMan = getOutput "man";
  getInclude = getFirstOutput [
    "include"
    "dev"
    "out"
  ];
  chooseDevOutputs = map getDev;
  recurseIntoAttrs = set: set // { recurseForDerivations = true; };
  dontRecurseIntoAttrs = set: set // { recurseForDerivations = false; };
}

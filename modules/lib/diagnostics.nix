# What the module system says when something is wrong: which option, where, what is there, and what
# could be there instead. All of it is text that is made only when an error is shown.
{ lib }:

let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elem
    filter
    head
    isAttrs
    isList
    length
    sort
    split
    stringLength
    tryEval
    unsafeGetAttrPos
    ;
  inherit (lib)
    concatMapStrings
    concatMapStringsSep
    isOption
    levenshtein
    showOption
    take
    ;
  inherit (lib.hints) exampleFor hintFor;

  indented = text: lib.replaceStrings [ "\n" ] [ "\n    " ] text;
  bullet = text: "\n  - ${indented text}";

  article =
    type:
    (
      if
        elem (builtins.substring 0 1 type) [
          "a"
          "e"
          "i"
          "o"
          "u"
        ]
      then
        "an "
      else
        "a "
    )
    + type;
  kindOf =
    value:
    let
      names = {
        set = "attribute set";
        int = "integer";
        bool = "Boolean";
        lambda = "function";
        float = "floating point number";
        "null" = "null";
      };
      kind = builtins.typeOf value;
    in
    if kind == "null" then
      "null"
    else if kind == "set" && lib.isDerivation value then
      "a package"
    else
      article (names.${kind} or kind);

  # At most a few lines of a value; nothing if it cannot be evaluated.
  showValue =
    value:
    let
      shown = tryEval (
        lib.options.showCompactly (
          lib.generators.withRecursion {
            depthLimit = 5;
            throwOnDepthLimit = false;
          } value
        )
      );
      lines = filter (x: !isList x) (split "\n" shown.value);
      short = concatStringsSep "\n" (take 6 lines ++ lib.optional (length lines > 6) "…");
    in
    if !shown.success then
      null
    else if stringLength short > 400 then
      "${builtins.substring 0 400 short}…"
    else
      short;

  # Whether a function takes a set with more attributes than it names. Only its XML tells.
  takesMore =
    f: lib.functionArgs f == { } || length (split " ellipsis=\"1\"" (builtins.toXML f)) > 1;

  # -- nearest names
  nearest =
    name: names:
    let
      # A third of the name may be wrong, and of short names a character or two.
      limit = lib.max 1 (lib.min 4 ((stringLength name + 1) / 3));
      lower = lib.toLower name;
      close = filter (n: n != name && lib.levenshteinAtMost limit lower (lib.toLower n)) names;
      ranked = map (n: {
        inherit n;
        distance = levenshtein lower (lib.toLower n);
      }) close;
    in
    map (x: x.n) (sort (a: b: a.distance < b.distance) ranked);

  # Corrects one misspelt name after the other along a path: the paths of options that it may mean.
  corrected =
    tree: path:
    if path == [ ] then
      [ [ ] ]
    else if isOption tree then
      correctedInside (tree.type or { }) path
    else if isAttrs tree then
      let
        name = head path;
        here = removeAttrs tree [ "_module" ];
        go = name: map (rest: [ name ] ++ rest) (corrected here.${name} (builtins.tail path));
      in
      if here ? ${name} then go name else concatMap go (take 3 (nearest name (attrNames here)))
    else
      [ ];

  # The same inside of an option of a type: elements have any name, submodules have options.
  correctedInside =
    type: path:
    let
      kind = type.name or "";
      inner = type.nestedTypes.elemType or { };
      options = tryEval (removeAttrs (type.getSubOptions [ ]) [ "_freeformOptions" ]);
    in
    if path == [ ] then
      [ [ ] ]
    else if
      elem kind [
        "attrsOf"
        "lazyAttrsOf"
        "listOf"
      ]
    then
      map (rest: [ (head path) ] ++ rest) (correctedInside inner (builtins.tail path))
    else if
      elem kind [
        "nullOr"
        "unique"
      ]
    then
      correctedInside inner path
    else if kind == "submodule" && options.success then
      corrected options.value path
    else
      [ ];

  isVisible = option: option.visible or true != false && !(option.internal or false);

  # Paths of all options that are not hidden.
  leaves =
    path: tree:
    concatMap (
      name:
      let
        x = tree.${name};
        here = path ++ [ name ];
      in
      if isOption x then
        if isVisible x then [ here ] else [ ]
      else if isAttrs x then
        leaves here x
      else
        [ ]
    ) (attrNames (removeAttrs tree [ "_module" ]));

  # Options elsewhere in the tree which end in the same name. The part before it that does not
  # exist here has to be in theirs, too: all too many options are called `enable`.
  elsewhere =
    options: path:
    let
      name = lib.last path;
      known = length (lib.longestValidPathPrefix path options);
      unknown = filter (part: stringLength part > 2) (lib.drop known (lib.init path));
      isLike =
        part: other:
        lib.hasInfix (lib.toLower part) (lib.toLower other) || lib.levenshteinAtMost 1 part other;
      isNearby = p: unknown == [ ] || builtins.any (isLike (lib.last unknown)) (lib.init p);
      isNamedSo = p: lib.last p == name || lib.levenshteinAtMost 1 (lib.last p) name;
      found = filter (p: isNamedSo p && isNearby p) (leaves [ ] options);
      strange = p: length (filter (part: !(elem part path)) p);
    in
    # Without anything to tell them apart, many are none.
    if unknown == [ ] && length found > 3 then [ ] else sort (a: b: strange a < strange b) found;
in
rec {
  inherit
    kindOf
    showValue
    nearest
    takesMore
    ;

  # FILE:LINE:COLUMN of a definition, as far as that is known.
  place =
    loc: def:
    let
      position =
        if def ? parent && loc != [ ] then unsafeGetAttrPos (toString (lib.last loc)) def.parent else null;
      file = toString def.file;
    in
    if def ? list then
      place (lib.init loc) def.list
    else if position != null && (toString position.file == file || file == lib.unknownModule) then
      showPosition position
    else
      file;
  showPosition = p: "${toString p.file}:${toString p.line}:${toString p.column}";
  declaredAt =
    option:
    let
      positions = filter (p: p.line or null != null) (option.declarationPositions or [ ]);
    in
    if positions != [ ] then
      concatMapStringsSep " and " showPosition positions
    else
      concatMapStringsSep " and " toString (option.declarations or [ ]);

  whereDefined =
    loc: defs:
    if defs == [ ] then
      ""
    else
      " (defined at ${concatMapStringsSep ", " (place loc) (take 3 defs)}${
         if length defs > 3 then ", …" else ""
       })";

  showDefsAt =
    loc: defs:
    concatMapStrings (
      def:
      let
        value = showValue def.value;
      in
      bullet (place loc def + (if value == null then "" else ": ${value}"))
    ) defs;
  showDefs = showDefsAt [ ];

  # -- the errors
  wrongType =
    loc: option: defs:
    let
      type = option.type;
      example = exampleFor option;
      kinds = lib.unique (map (def: kindOf def.value) defs);
      hint = hintFor type (head defs).value;
    in
    "${subject loc} that is not of type `${type.description}', but ${concatStringsSep " and " kinds}:${showDefsAt loc defs}"
    + (if hint != null then "\nhint: ${hint}" else "")
    + (if example != null then "\nexample: ${assignment loc example}" else "");

  # Elements of lists have no name of their own.
  elementNumber =
    loc:
    if loc == [ ] then
      null
    else
      builtins.match "\\[definition [0-9]+-entry ([0-9]+)]" (toString (lib.last loc));
  subject =
    loc:
    let
      number = elementNumber loc;
    in
    if number == null then
      "The option `${showOption loc}' has a value"
    else
      "The option `${showOption (lib.init loc)}' has an element (number ${head number})";
  assignment =
    loc: value: if elementNumber loc == null then "${showOption loc} = ${value};" else value;

  conflict =
    loc: defs: why:
    let
      shown = showValue (head defs).value;
      winner = if shown == null || lib.hasInfix "\n" shown then "…" else shown;
    in
    "The option `${showOption loc}' has conflicting definition values; ${why}:${showDefsAt loc defs}"
    + "\nhint: remove all but one, or let one win: ${showOption loc} = lib.mkForce ${
      if isAttrs (head defs).value || isList (head defs).value || builtins.match "-.*" winner != null then
        "(${winner})"
      else
        winner
    };";

  missingValue =
    loc: option:
    let
      example = exampleFor option;
      declared = declaredAt option;
      description = option.description.text or option.description or "";
      firstLine = head (lib.splitString "\n" (toString description));
    in
    "The option `${showOption loc}' was accessed but has no value defined. Try setting the option"
    + (if example != null then ": ${showOption loc} = ${example};" else ".")
    + (if declared != "" then "\n  declared at ${declared}" else "")
    + (if firstLine != "" then "\n  ${firstLine}" else "")
    + (if option ? type then "\n  type: ${option.type.description}" else "");

  notADeclaration =
    loc: file: value:
    "`${showOption loc}' in `${file}' is ${
      if isAttrs value && value._type or "" == "option-type" then
        "a type; write mkOption { type = …; }"
      else
        "${kindOf value}${
          if isAttrs value then " of the kind `${value._type}'" else ""
        }, but options are declared with mkOption, or by a set of such declarations"
    }";

  readOnlySetTwice =
    loc: defs:
    "The option `${showOption loc}' is read-only, but it's set multiple times:${showDefsAt loc defs}";

  # For definitions { path; file; value; parent; } of which no option takes anything.
  unknownOptions =
    prefix: options: definitions:
    let
      one =
        def:
        let
          # Down to the name that a user wrote, through sets with one attribute.
          deepen =
            path: value:
            let
              plain = tryEval (
                isAttrs value && !(value ? _type) && !lib.isDerivation value && length (attrNames value) == 1
              );
              name = head (attrNames value);
            in
            if plain.success && plain.value then
              deepen (path ++ [ name ]) value.${name}
            else
              { inherit path value; };
          full = deepen def.path def.value;
          suggestions = suggest options full.path;
          shown = showValue full.value;
          text =
            "The option `${showOption (prefix ++ full.path)}' does not exist."
            + "\n  - ${place def.path def}${if shown == null then "" else ": ${indented shown}"}"
            + (
              if suggestions == [ ] then
                ""
              else
                "\nhint: did you mean ${
                  concatMapStringsSep " or " (p: "`${showOption (prefix ++ p)}'") suggestions
                }?"
            );
        in
        # Showing a value can fail in a way that nothing catches.
        builtins.addErrorContext "while showing the definitions of `${
          showOption (prefix ++ def.path)
        }', an option that does not exist:" text;
      count = length definitions;
    in
    concatMapStringsSep "\n" one (take 20 definitions)
    + (if count > 20 then "\nand ${toString (count - 20)} more" else "")
    + (
      if attrNames (removeAttrs options [ "_module" ]) == [ ] then
        "\nhint: no options are declared ${
          if prefix == [ ] then "at all" else "in `${showOption prefix}'"
        }; declarations belong under `options', not under `config'"
      else
        ""
    );

  # At most three paths of options that are near to one that does not exist.
  suggest =
    options: path:
    let
      near = filter (p: p != path) (corrected options path);
      shorter = filter (p: p != [ ]) (
        lib.optional (length path > 1) (head (corrected options (lib.init path) ++ [ [ ] ]))
      );
      distant = elsewhere options path;
    in
    take 3 (
      lib.unique (
        if near != [ ] then
          near
        else if distant != [ ] then
          distant
        else
          filter (p: p != lib.init path) shorter
      )
    );
}

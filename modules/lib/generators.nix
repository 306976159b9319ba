# Text formats made from values: INI, key=value, JSON, Git's configuration, Lua, and Nix itself.
{ lib }:

let
  inherit (builtins)
    concatStringsSep
    filter
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isPath
    isString
    mapAttrs
    match
    split
    toJSON
    toString
    ;
  inherit (lib)
    concatMapStringsSep
    concatStrings
    escape
    escapeNixIdentifier
    isFunction
    mapAttrsToList
    replaceStrings
    ;
in
rec {
  # -- scalars
  mkValueStringDefault =
    { }:
    v:
    if isInt v then
      toString v
    else if isString v then
      v
    else if v == true then
      "true"
    else if v == false then
      "false"
    else if v == null then
      "null"
    else if isFloat v then
      lib.floatToString v
    else if lib.isDerivation v || isPath v then
      toString v
    else
      throw "generators.mkValueStringDefault: ${builtins.typeOf v} is not supported: ${toPretty { } v}";
  mkKeyValueDefault =
    {
      mkValueString ? mkValueStringDefault { },
    }:
    separator: name: value:
    "${escape [ separator ] name}${separator}${mkValueString value}";

  # -- lines of key=value, and sections of them
  toKeyValue =
    {
      mkKeyValue ? mkKeyValueDefault { } "=",
      listsAsDuplicateKeys ? false,
      indent ? "",
    }:
    let
      line = name: value: indent + mkKeyValue name value + "\n";
      lines =
        name: value:
        if listsAsDuplicateKeys && isList value then
          concatStrings (map (line name) value)
        else
          line name value;
    in
    set: concatStrings (mapAttrsToList lines set);
  toINI =
    {
      mkSectionName ? name: escape [ "[" "]" ] name,
      mkKeyValue ? mkKeyValueDefault { } "=",
      listsAsDuplicateKeys ? false,
    }:
    sections:
    concatStringsSep "\n" (
      mapAttrsToList (
        name: values:
        "[${mkSectionName name}]\n" + toKeyValue { inherit mkKeyValue listsAsDuplicateKeys; } values
      ) sections
    );
  toINIWithGlobalSection =
    {
      mkSectionName ? name: escape [ "[" "]" ] name,
      mkKeyValue ? mkKeyValueDefault { } "=",
      listsAsDuplicateKeys ? false,
    }:
    {
      globalSection,
      sections ? { },
    }:
    (
      if globalSection == { } then
        ""
      else
        toKeyValue { inherit mkKeyValue listsAsDuplicateKeys; } globalSection + "\n"
    )
    + toINI { inherit mkSectionName mkKeyValue listsAsDuplicateKeys; } sections;
  toGitINI =
    set:
    let
      # "a.b.c" is [a "b.c"].
      sectionName =
        name:
        let
          parts = lib.splitString "." name;
          section = builtins.head parts;
          rest = concatStringsSep "." (builtins.tail parts);
        in
        if builtins.length parts == 1 then section else "${section} \"${rest}\"";
      value =
        v:
        let
          text = replaceStrings [ "\n" "\t" ] [ "\\n" "\\t" ] (
            escape [ "\\" "\"" ] (mkValueStringDefault { } v)
          );
        in
        if match ".*[#;].*|^ .*|.* $" text != null then "\"${text}\"" else text;
      line = mkKeyValueDefault { mkValueString = value; } " = ";
      keyValue = name: v: concatStringsSep "\n" (map (x: "\t" + line name x) (lib.toList v));
      flat =
        path: v:
        if isAttrs v && !lib.isDerivation v then
          lib.concatLists (mapAttrsToList (name: flat ([ name ] ++ path)) v)
        else if builtins.length path > 1 then
          [
            {
              section = concatStringsSep "." (lib.reverseList (builtins.tail path));
              set = {
                ${builtins.head path} = v;
              };
            }
          ]
        else
          [
            {
              section = builtins.head path;
              set = v;
            }
          ];
      sections = builtins.foldl' (
        sum: x: sum // { ${x.section} = (sum.${x.section} or { }) // x.set; }
      ) { } (flat [ ] set);
    in
    toINI {
      mkSectionName = sectionName;
      mkKeyValue = keyValue;
    } sections;
  toDconfINI = toINI {
    mkKeyValue = mkKeyValueDefault { mkValueString = v: toString (lib.gvariant.mkValue v); } "=";
  };

  # -- whole documents
  toJSON = { }: builtins.toJSON;
  # JSON is YAML.
  toYAML = { }: builtins.toJSON;
  toPlist =
    {
      escape ? true,
      ...
    }:
    value:
    let
      text = if escape then lib.escapeXML else lib.id;
      from =
        indent: x:
        if x == null then
          ""
        else if isBool x then
          indent + (if x then "<true/>" else "<false/>")
        else if isInt x then
          "${indent}<integer>${toString x}</integer>"
        else if isFloat x then
          "${indent}<real>${lib.floatToString x}</real>"
        else if isList x then
          "${indent}<array>\n${concatMapStringsSep "\n" (from ("\t" + indent)) x}\n${indent}</array>"
        else if isAttrs x && !lib.isDerivation x then
          "${indent}<dict>\n${
            concatStringsSep "\n" (
              mapAttrsToList (name: v: "${indent}\t<key>${text name}</key>\n${from ("\t" + indent) v}") (
                lib.filterAttrs (_: v: v != null) x
              )
            )
          }\n${indent}</dict>"
        else
          "${indent}<string>${text (toString x)}</string>";
    in
    ''
      <?xml version="1.0" encoding="UTF-8"?>
      <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
      <plist version="1.0">
      ${from "" value}
      </plist>'';

  mkLuaInline = expr: {
    _type = "lua-inline";
    inherit expr;
  };
  toLua =
    {
      multiline ? true,
      indent ? "",
      asBindings ? false,
    }@args:
    value:
    let
      inner = args // {
        indent = indent + "  ";
        asBindings = false;
      };
      newline = if multiline then "\n${inner.indent}" else " ";
      end = if multiline then "\n${indent}" else " ";
      block =
        items: if items == [ ] then "{}" else "{${newline}${concatStringsSep ",${newline}" items}${end}}";
      binding =
        name: v:
        if match "[a-zA-Z_][a-zA-Z0-9_]*(\\.[a-zA-Z_][a-zA-Z0-9_]*)*" name == null then
          throw "generators.toLua: ${builtins.toJSON name} is not a name of Lua"
        else
          "${indent}${name} = ${toLua (args // { asBindings = false; }) v}\n";
    in
    if asBindings then
      concatStrings (mapAttrsToList binding value)
    else if value == null then
      "nil"
    else if isInt value || isFloat value || isBool value || isString value || isPath value then
      builtins.toJSON (if isPath value then toString value else value)
    else if isList value then
      block (map (toLua inner) value)
    else if value._type or "" == "lua-inline" then
      "(${value.expr})"
    else if isAttrs value && lib.isDerivation value then
      builtins.toJSON (toString value)
    else if isAttrs value then
      block (mapAttrsToList (name: v: "[${builtins.toJSON name}] = ${toLua inner v}") value)
    else
      throw "generators.toLua: a ${builtins.typeOf value} has no form in Lua";

  # -- Nix
  # The value as Nix text. `allowPrettyValues` shows sets { __pretty; val; } by their own function.
  toPretty =
    {
      multiline ? true,
      allowPrettyValues ? false,
      indent ? "",
    }:
    let
      from =
        indent: v:
        let
          start = if multiline then "\n${indent}  " else " ";
          end = if multiline then "\n${indent}" else " ";
          inner = from (indent + "  ");
          lines = filter (x: !isList x) (split "\n" v);
          multilineText =
            "''"
            + start
            + concatStringsSep "\n${indent}  " (
              map (replaceStrings [ "''" "\${" ] [ "'''" "''\${" ]) (
                if lib.last lines == "" then lib.init lines else lines
              )
            )
            + (if lib.last lines == "" then "\n${indent}" else "")
            + "''";
          arguments = functionArgs' v;
          argument = name: hasDefault: escapeNixIdentifier name + (if hasDefault then "?" else "");
        in
        if isInt v then
          toString v
        else if isFloat v then
          "~${lib.floatToString v}"
        else if isString v then
          if multiline && match ".*\n.+" v != null then
            multilineText
          else
            "\"${escape [ "\\" "\"" "\${" ] (replaceStrings [ "\n" "\t" "\r" ] [ "\\n" "\\t" "\\r" ] v)}\""
        else if v == true then
          "true"
        else if v == false then
          "false"
        else if v == null then
          "null"
        else if isPath v then
          toString v
        else if isList v then
          if v == [ ] then "[ ]" else "[${start}${concatMapStringsSep start inner v}${end}]"
        else if isFunction v then
          if arguments == { } then
            "<function>"
          else
            "<function, args: {${concatStringsSep ", " (mapAttrsToList argument arguments)}}>"
        else if isAttrs v then
          if v ? __pretty && v ? val && allowPrettyValues then
            v.__pretty v.val
          else if v == { } then
            "{ }"
          else if v ? type && v.type == "derivation" then
            "<derivation ${v.name or "???"}>"
          else
            "{${start}${
              concatStringsSep start (
                mapAttrsToList (
                  name: x:
                  "${escapeNixIdentifier name} = ${builtins.addErrorContext "while showing the attribute `${name}'" (inner x)};"
                ) v
              )
            }${end}}"
        else
          throw "generators.toPretty: unknown value";
      functionArgs' = f: lib.functionArgs f;
    in
    from indent;
  # Cuts a value at a depth, so that showing it ends.
  withRecursion =
    {
      depthLimit,
      throwOnDepthLimit ? true,
    }:
    let
      from =
        depth: v:
        if depth > depthLimit then
          if throwOnDepthLimit then
            throw "a value is nested deeper than ${toString depthLimit} levels"
          else
            const "<unevaluated>"
        else if isAttrs v then
          if lib.isDerivation v || v ? __functor then
            v
          else
            mapAttrs (name: from (if special name then depth else depth + 1)) v
        else if isList v then
          map (from (depth + 1)) v
        else
          v;
      special =
        name:
        builtins.elem name [
          "__functor"
          "__functionArgs"
          "__toString"
          "__pretty"
        ];
      const = text: text;
    in
    from 0;
  toDhall =
    { }@options:
    v:
    if isList v then
      "[ ${concatMapStringsSep ", " (toDhall options) v} ]"
    else if isAttrs v then
      "{ ${concatStringsSep ", " (mapAttrsToList (name: x: "${name} = ${toDhall options x}") v)} }"
    else if isInt v then
      (if v < 0 then "" else "+") + toString v
    else if isBool v then
      if v then "True" else "False"
    else if lib.isFunction v then
      throw "generators.toDhall: a function has no form in Dhall"
    else if v == null then
      throw "generators.toDhall: null has no form in Dhall"
    else
      builtins.toJSON v;
}

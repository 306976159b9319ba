# Declarations of options, the ways to merge their definitions, and what documentation needs of them.
{ lib }:

let
  inherit (builtins)
    all
    concatLists
    concatMap
    filter
    foldl'
    head
    isAttrs
    isBool
    isInt
    isList
    isString
    length
    tail
    ;
  inherit (lib.diagnostics) conflict;
in
rec {
  isOption = x: isAttrs x && x._type or "" == "option";
  unknownModule = "<unknown-file>";

  # An option: `default`, `defaultText`, `example`, `description`, `type`, `apply`, `internal`,
  # `visible`, `readOnly`, all of them optional.
  mkOption = attrs: attrs // { _type = "option"; };
  mkEnableOption =
    name:
    mkOption {
      default = false;
      example = true;
      description = "Whether to enable ${toString (name.text or name)}.";
      type = lib.types.bool;
    };
  # An option for a package: `mkPackageOption pkgs "name" { default ? [ "name" ], … }`.
  mkPackageOption =
    pkgs: name:
    {
      nullable ? false,
      default ? name,
      example ? null,
      extraDescription ? "",
      pkgsText ? "pkgs",
    }:
    let
      path = if isList default then default else [ default ];
      exampleText = lib.concatStringsSep "." (lib.toList example);
      names = if isList name then lib.last name else name;
    in
    mkOption (
      {
        description =
          "The ${names} package to use." + (if extraDescription == "" then "" else " ${extraDescription}");
        type = if nullable then lib.types.nullOr lib.types.package else lib.types.package;
      }
      // (
        if default == null then
          { default = null; }
        else
          {
            default = lib.getAttrFromPath path pkgs;
            defaultText = literalExpression "${pkgsText}.${lib.concatStringsSep "." path}";
          }
      )
      // (
        if example == null then
          { }
        else
          { example = literalExpression (if isList example then "${pkgsText}.${exampleText}" else example); }
      )
    );
  mkPackageOptionMD = mkPackageOption;
  # Takes all definitions that no other option takes, and drops them.
  mkSinkUndeclaredOptions =
    attrs:
    mkOption (
      {
        internal = true;
        visible = false;
        default = false;
        description = "Sink for option definitions that nothing declares.";
        type = lib.mkOptionType {
          name = "sink";
          check = _: true;
          merge = _: _: false;
        };
        apply = _: throw "the value of a sink for undeclared options is used";
      }
      // attrs
    );

  # -- merging
  mergeDefaultOption =
    loc: defs:
    let
      values = getValues defs;
    in
    if length values == 1 then
      head values
    else if all lib.isFunction values then
      x: mergeDefaultOption loc (map (def: def // { value = def.value x; }) defs)
    else if all isList values then
      concatLists values
    else if all isAttrs values then
      foldl' (a: b: a // b) { } values
    else if all isBool values then
      foldl' (a: b: a || b) false values
    else if all isString values then
      lib.concatStrings values
    else if all isInt values && all (x: x == head values) values then
      head values
    else
      throw (conflict loc defs "they cannot be merged");
  mergeOneOption = mergeUniqueOption { message = ""; };
  mergeUniqueOption =
    args@{
      message,
      merge ? null,
    }:
    loc: defs:
    if length defs == 1 then
      if merge == null then (head defs).value else merge loc defs
    else
      throw (
        conflict loc defs (
          if message == "" then "only one is possible" else "only one is possible: ${lib.trim message}"
        )
      );
  mergeEqualOption =
    loc: defs:
    let
      first = (head defs).value;
    in
    if length defs == 1 then
      first
    else if all (def: def.value == first) (tail defs) then
      first
    else
      throw (conflict loc defs "they differ");

  getValues = map (def: def.value);
  getFiles = map (def: def.file);

  # -- showing
  # The path of an option as one writes it: services.nginx.virtualHosts."example.org".root
  showOption =
    let
      part =
        name:
        # Placeholders such as <name> and * are not quoted.
        if builtins.match "<.*>|\\*|\\[.*]" name != null then name else lib.escapeNixIdentifier name;
    in
    parts: lib.concatMapStringsSep "." (name: part (toString name)) parts;
  showFiles = files: lib.concatMapStringsSep " and " (file: "`${toString file}'") files;
  inherit (lib.diagnostics) showDefs;
  showOptionWithDefLocs = option: ''
    ${showOption option.loc}, with values defined in:
    ${lib.concatMapStringsSep "\n" (file: "  - ${toString file}") option.files}
  '';

  # -- documentation
  literalExpression =
    text:
    if isString text then
      {
        _type = "literalExpression";
        inherit text;
      }
    else
      throw "literalExpression wants a string, but got a ${builtins.typeOf text}";
  literalExample = literalExpression;
  literalMD =
    text:
    if isString text then
      {
        _type = "literalMD";
        inherit text;
      }
    else
      throw "literalMD wants a string, but got a ${builtins.typeOf text}";
  literalCode = languageTag: text: {
    _type = "literalMD";
    text = "```${languageTag}\n${text}\n```";
  };
  mdDoc = text: text;
  docOption = text: text;

  # Every option below `options`, those of submodules too, as a list of what documentation shows.
  optionAttrSetToDocList = optionAttrSetToDocList' [ ];
  optionAttrSetToDocList' =
    _: options:
    concatMap (
      option:
      let
        visible = option.visible or true;
        entry = {
          inherit (option) loc;
          name = showOption option.loc;
          description = option.description or null;
          declarations = filter (file: file != unknownModule) option.declarations;
          declarationPositions = option.declarationPositions;
          internal = option.internal or false;
          visible = if isBool visible then visible else visible == "shallow";
          readOnly = option.readOnly or false;
          type = option.type.description or "unspecified";
        }
        // lib.optionalAttrs (option ? example) {
          example = builtins.addErrorContext "while evaluating the example of the option `${showOption option.loc}'" (
            renderOptionValue option.example
          );
        }
        // lib.optionalAttrs (option ? defaultText || option ? default) {
          default =
            builtins.addErrorContext
              "while evaluating the default of the option `${showOption option.loc}' (a `defaultText' would save that)"
              (renderOptionValue (option.defaultText or option.default));
        }
        // lib.optionalAttrs (option ? relatedPackages && option.relatedPackages != null) {
          inherit (option) relatedPackages;
        };
        inner = if option ? type then option.type.getSubOptions option.loc else { };
        inside =
          if visible == "shallow" || visible == false || inner == { } then
            [ ]
          else
            optionAttrSetToDocList' [ ] inner;
      in
      [ entry ] ++ inside
    ) (lib.collect isOption options);

  # A default or an example as documentation shows it.
  renderOptionValue =
    value:
    if isAttrs value && value ? _type && value ? text then
      value
    else
      literalExpression (showCompactly value);
  # In one line if that is short.
  showCompactly =
    value:
    let
      show =
        multiline:
        lib.generators.toPretty {
          inherit multiline;
          allowPrettyValues = true;
        } value;
      line = show false;
    in
    if builtins.stringLength line <= 60 && !lib.hasInfix "\\n" line then line else show true;
  scrubOptionValue =
    x:
    if lib.isDerivation x then
      {
        type = "derivation";
        drvPath = x.name;
        outPath = x.name;
        inherit (x) name;
      }
    else if isList x then
      map scrubOptionValue x
    else if isAttrs x then
      builtins.mapAttrs (_: scrubOptionValue) (removeAttrs x [ "_args" ])
    else
      x;
}

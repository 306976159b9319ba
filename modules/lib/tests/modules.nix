{ lib }:
with lib;
let
  evaluate = modules: evalModules { inherit modules; };
  config = modules: (evaluate modules).config;
  option = type: mkOption { inherit type; };
  declare = name: type: { options.${name} = mkOption { inherit type; }; };
  enable = { options.enable = mkOption { type = types.bool; default = false; }; };
  succeeds = value: (builtins.tryEval (builtins.deepSeq value true)).success;
in
{
  defaults = { expr = config [ { options.a.b = mkOption { default = 1; }; } ]; expected = { a.b = 1; }; };
  shorthand = { expr = config [ enable { enable = true; } ]; expected = { enable = true; }; };
  functions = { expr = config [ enable ({ config, options, lib, ... }: { options.b = lib.mkOption { }; config.b = [ config.enable (options ? enable) ]; }) ]; expected = { enable = false; b = [ false true ]; }; };
  functors = { expr = config [ enable { __functor = _: { ... }: { enable = true; }; } ]; expected = { enable = true; }; };
  args-without-pattern = { expr = config [ enable (args: { enable = args ? config && args ? lib; }) ]; expected = { enable = true; }; };
  module-args = { expr = (config [ (declare "x" types.int) { _module.args.n = 5; } ({ n, ... }: { x = n; }) ]).x; expected = 5; };
  module-args-lazy = { expr = (config [ (declare "x" types.int) { _module.args = { n = 5; broken = throw "unused"; }; } ({ n, broken, ... }: { x = n; }) ]).x; expected = 5; };
  special-args = { expr = (evalModules { modules = [ ({ extra, ... }: { imports = [ extra ]; }) ]; specialArgs.extra = enable // { config.enable = true; }; }).config.enable; expected = true; };

  # -- properties
  mk-if = { expr = config [ (declare "l" (types.listOf types.int)) { l = mkIf true [ 1 ]; } { l = mkIf false [ 2 ]; } { config = mkIf true { l = [ 3 ]; }; } { config = mkIf false { l = [ 4 ]; }; } ]; expected = { l = [ 3 1 ]; }; };
  mk-if-is-lazy = { expr = (config [ enable (declare "x" types.int) ({ config, ... }: { config = mkIf config.enable { x = throw "no"; }; }) { x = 1; } ]).x; expected = 1; };
  mk-if-may-depend-on-siblings = { expr = (config [ enable (declare "x" types.int) ({ config, ... }: { config = mkIf (config.x == 1) { enable = true; }; }) { x = 1; } ]).enable; expected = true; };
  mk-merge = { expr = config [ (declare "l" (types.listOf types.int)) { l = mkMerge [ [ 1 ] (mkIf true [ 2 ]) (mkMerge [ [ 3 ] ]) ]; } { config = mkMerge [ { l = [ 4 ]; } { l = [ 5 ]; } ]; } ]; expected = { l = [ 4 5 1 2 3 ]; }; };
  priorities = { expr = (config [ (declare "x" types.int) { x = mkDefault 1; } { x = 2; } { x = mkForce 3; } { x = mkVMOverride 4; } ]).x; expected = 4; };
  priority-over-sets = { expr = (config [ { options.a.b = option types.int; } { a = mkForce { b = 1; }; } { a.b = 2; } ]).a.b; expected = 1; };
  default-loses-to-mk-default = { expr = (config [ { options.x = mkOption { default = 1; }; } { x = mkDefault 2; } ]).x; expected = 2; };
  option-default-is-merged = { expr = (config [ { options.x = mkOption { default = [ 1 ]; type = types.listOf types.int; }; } { x = mkOptionDefault [ 2 ]; } ]).x; expected = [ 1 2 ]; };
  force-inside-if = { expr = (config [ (declare "x" types.int) { x = mkIf true (mkForce 3); } { x = 2; } ]).x; expected = 3; };
  if-inside-force = { expr = (config [ (declare "x" types.int) { x = mkForce (mkIf false 3); } { x = 2; } ]).x; expected = 2; };
  order = { expr = (config [ (declare "l" types.lines) { l = mkAfter "last"; } { l = "mid"; } { l = mkBefore "first"; } { l = mkOrder 1600 "end"; } ]).l; expected = "first\nmid\nlast\nend"; };
  order-is-stable = { expr = (config [ (declare "l" (types.listOf types.str)) { l = [ "a" ]; } { l = mkBefore [ "x" ]; } { l = [ "b" ]; } ]).l; expected = [ "x" "b" "a" ]; };
  imports-come-first = { expr = (config [ (declare "l" (types.listOf types.str)) { imports = [ { l = [ "imported" ]; } ]; l = [ "main" ]; } { l = [ "second" ]; } ]).l; expected = [ "imported" "second" "main" ]; };
  if-in-default = { expr = (config [ { options.x = mkOption { default = mkIf true 3; }; } ]).x; expected = 3; };
  mk-definition = { expr = map (d: removeAttrs d [ "parent" ]) (evaluate [ (declare "x" types.int) { x = mkDefinition { file = "f"; value = 1; }; } ]).options.x.definitionsWithLocations; expected = [ { file = "f"; value = 1; } ]; };
  top-level-if = { expr = (config [ enable (mkIf true { enable = true; }) ]).enable; expected = true; };

  # -- options
  apply = { expr = (config [ { options.x = mkOption { apply = x: x + 1; }; } { x = 1; } ]).x; expected = 2; };
  read-only = { expr = (config [ { options.x = mkOption { readOnly = true; }; } { x = 1; } ]).x; expected = 1; };
  declarations-merge = {
    expr =
      let
        e = evaluate [
          { _file = "a"; options.x = mkOption { type = types.enum [ "a" ]; }; }
          { _file = "b"; options.x = mkOption { type = types.enum [ "b" ]; description = "text"; }; config.x = "b"; }
        ];
      in
      [ e.config.x e.options.x.declarations e.options.x.description ];
    expected = [ "b" [ "b" "a" ] "text" ];
  };
  option-attributes = {
    expr =
      let
        o = (evaluate [ { _file = "d"; options.x = mkOption { type = types.listOf types.int; }; } { _file = "f"; x = mkDefault [ 1 ]; } { _file = "g"; x = mkDefault [ 2 ]; } ]).options.x;
      in
      { inherit (o) value definitions files isDefined highestPrio loc declarations; text = "${o}"; };
    expected = { value = [ 2 1 ]; definitions = [ [ 2 ] [ 1 ] ]; files = [ "g" "f" ]; isDefined = true; highestPrio = 1000; loc = [ "x" ]; declarations = [ "d" ]; text = "x"; };
  };
  is-defined = { expr = (evaluate [ (declare "x" types.int) ]).options.x.isDefined; expected = false; };
  undefined-is-lazy = { expr = (config [ (declare "x" types.int) enable ]).enable; expected = false; };
  declaration-positions = {
    expr = (head (evaluate [ { _file = ./modules.nix; options.x = mkOption { }; } ]).options.x.declarationPositions).line;
    expected = (builtins.unsafeGetAttrPos "expr" (import ./modules.nix { inherit lib; }).declaration-positions).line;
  };
  enable-option = { expr = (mkEnableOption "x") ? default && (mkEnableOption "x").description == "Whether to enable x."; expected = true; };
  package-option = {
    expr =
      let
        pkgs.hello = { type = "derivation"; name = "hello"; outPath = "/x"; };
        o = mkPackageOption pkgs "hello" { };
        none = mkPackageOption pkgs "nothing" { nullable = true; default = null; example = "hello"; };
      in
      [ o.default.name o.defaultText.text o.description none.default none.type.description none.example.text ];
    expected = [ "hello" "pkgs.hello" "The hello package to use." null "null or package" "hello" ];
  };
  options-depend-on-options = { expr = (config [ enable ({ options, ... }: { config = if options ? enable then { enable = true; } else { }; }) ]).enable; expected = true; };

  # -- modules
  keys-deduplicate = { expr = (config [ (declare "l" (types.listOf types.int)) { key = "k"; l = [ 1 ]; } { imports = [ { key = "k"; l = [ 1 ]; } ]; } ]).l; expected = [ 1 ]; };
  disabled = { expr = (config [ enable { key = "k"; enable = true; } { disabledModules = [ { key = "k"; } ]; } ]).enable; expected = false; };
  disabled-by-disabled = { expr = (config [ enable { imports = [ { key = "k"; enable = true; } ]; } { key = "d"; disabledModules = [ { key = "k"; } ]; } { disabledModules = [ { key = "d"; } ]; } ]).enable; expected = false; };
  cyclic-imports = { expr = (config [ ./cycle-a.nix ]).l; expected = [ "b" "a" ]; };
  unchecked = { expr = (config [ enable { _module.check = false; nothing = 1; } ]).enable; expected = false; };
  meta = { expr = (config [ { options.meta = mkOption { }; } enable { meta.x = 1; enable = true; } ]); expected = { meta.x = 1; enable = true; }; };
  class = { expr = (evalModules { class = "nixos"; modules = [ enable { _class = "nixos"; enable = true; } ]; }).config.enable; expected = true; };
  extend = { expr = ((evaluate [ enable ]).extendModules { modules = [ { enable = true; } ]; }).config.enable; expected = true; };
  extend-twice = { expr = (((evaluate [ (declare "l" (types.listOf types.int)) { l = [ 1 ]; } ]).extendModules { modules = [ { l = [ 2 ]; } ]; }).extendModules { modules = [ { l = [ 3 ]; } ]; }).config.l; expected = [ 3 2 1 ]; };
  as-type = { expr = (config [ { options.sub = mkOption { type = (evaluate [ enable ]).type; }; } { sub.enable = true; } ]).sub.enable; expected = true; };
  prefix = { expr = (evalModules { prefix = [ "a" ]; modules = [ enable ]; }).options.enable.loc; expected = [ "a" "enable" ]; };

  # -- free form
  freeform = { expr = config [ { freeformType = types.attrsOf types.int; options.s = mkOption { default = "x"; }; } { a = 1; } { b = mkDefault 2; } ]; expected = { a = 1; b = 2; s = "x"; }; };
  freeform-nested = { expr = config [ { freeformType = types.attrsOf (types.attrsOf types.int); options.nest.foo = mkOption { default = true; }; } { nest.bar = 1; } ]; expected = { nest = { foo = true; bar = 1; }; }; };
  freeform-empty = { expr = config [ { freeformType = types.attrsOf types.int; } ]; expected = { }; };
  freeform-lazy = { expr = (config [ { freeformType = types.lazyAttrsOf types.int; options.foo = mkOption { type = types.int; }; } ({ config, ... }: { value = 24; foo = config.value; }) ]).foo; expected = 24; };

  # -- submodules
  submodules = { expr = config [ (declare "s" (types.attrsOf (types.submodule ({ name, ... }: { options.n = mkOption { default = name; }; options.m = mkOption { }; })))) { s.a.m = 1; } { s.b.m = 2; } ]; expected = { s.a = { n = "a"; m = 1; }; s.b = { n = "b"; m = 2; }; }; };
  submodules-merge-declarations = { expr = config [ (declare "s" (types.submodule { options.a = mkOption { default = 1; }; })) (declare "s" (types.submodule { options.b = mkOption { default = 2; }; })) { s = { }; } ]; expected = { s = { a = 1; b = 2; }; }; };
  options-in-a-submodule = { expr = config [ (declare "s" (types.submodule { options.a = mkOption { default = 1; }; })) { options.s.b = mkOption { default = 2; }; } { s = { }; } ]; expected = { s = { a = 1; b = 2; }; }; };
  submodule-priorities = { expr = (config [ (declare "s" (types.attrsOf (types.submodule enable))) { s.a.enable = true; } { s = mkForce { b.enable = true; }; } ]).s; expected = { b.enable = true; }; };
  submodule-shorthand = { expr = (config [ (declare "s" (types.submodule { options.config = mkOption { }; })) { s.config = true; } ]).s.config; expected = true; };
  submodule-full = { expr = (config [ (declare "s" (types.submoduleWith { modules = [ enable ]; })) { s = { config.enable = true; }; } ]).s.enable; expected = true; };
  submodule-function = { expr = (config [ (declare "s" (types.submodule enable)) { s = { config, ... }: { enable = !false; }; } ]).s.enable; expected = true; };
  submodule-special-args = { expr = (config [ (declare "s" (types.submoduleWith { modules = [ ({ foo, ... }: { options.x = mkOption { default = foo; }; }) ]; specialArgs.foo = 1; })) { s = { }; } ]).s.x; expected = 1; };
  submodule-freeform = { expr = (config [ (declare "s" (types.submodule { freeformType = types.attrsOf types.str; options.p = mkOption { default = 1; }; })) { s.x = "y"; } ]).s; expected = { x = "y"; p = 1; }; };
  submodule-default = { expr = (config [ { options.s = mkOption { type = types.submodule enable; default = { }; }; } ]).s.enable; expected = false; };
  deferred = { expr = (config [ { options.nodes = mkOption { type = types.attrsOf (types.submodule enable); }; } ({ config, ... }: { options.all = mkOption { type = types.deferredModule; }; config.all.enable = true; config.nodes.x = { ... }: { imports = [ config.all ]; }; }) ] ).nodes.x.enable or "import"; expected = true; };

  # -- old names
  renamed = { expr = let c = config [ { options.new = mkOption { type = types.int; }; options.warnings = mkOption { type = types.listOf types.str; default = [ ]; }; } (mkRenamedOptionModule [ "old" ] [ "new" ]) { _file = "f"; old = 1; } ]; in [ c.new c.warnings ]; expected = [ 1 [ "The option `old' defined in `f' has been renamed to `new'." ] ]; };
  alias = { expr = let c = config [ { options.new.x = mkOption { type = types.int; }; } (mkAliasOptionModule [ "a" "b" ] [ "new" "x" ]) { a.b = mkForce 1; } { new.x = 2; } ]; in [ c.new.x c.a.b ]; expected = [ 1 1 ]; };
  changed = { expr = (config [ { options.new = mkOption { type = types.int; default = 0; }; options.warnings = mkOption { default = [ ]; }; } (mkChangedOptionModule [ "old" ] [ "new" ] (c: c.old * 2)) { old = 2; } ]).new; expected = 4; };
  removed = { expr = (head (config [ { options.assertions = mkOption { }; } (mkRemovedOptionModule [ "old" ] "Use new.") { _file = "f"; old = 2; } ]).assertions).assertion; expected = false; };
  not-removed = { expr = (head (config [ { options.assertions = mkOption { }; } (mkRemovedOptionModule [ "old" ] "Use new.") ]).assertions).assertion; expected = true; };

  # -- documentation
  doc-list = {
    expr = map (o: [ o.name o.type (o.default.text or null) ]) (optionAttrSetToDocList (evaluate [ { options.a.b = mkOption { type = types.attrsOf (types.submodule { options.c = mkOption { type = types.int; default = 1; }; }); default = { }; description = "x"; }; } ]).options);
    expected = [ [ "a.b" "attribute set of (submodule)" "{ }" ] [ "a.b.<name>.c" "signed integer" "1" ] ];
  };
}

# The option reference as data: every option that a user may set, in order of names. `cairn options`
# shows it, and writes the man page and the web page from it.
#
#   configuration  a module whose own options are shown too
{
  configuration ? { },
  lib ? import ./lib,
}:
let
  # Nothing of a package is looked at: defaults that are packages say so in `defaultText`.
  machine = import ./. {
    inherit lib;
    configuration = {
      imports = [ configuration ];
      # What it defines is of no interest here.
      _module.check = false;
    };
    packages = throw "the option reference needs no packages";
  };

  # Files of these modules are named from here: the page is the same wherever they lie.
  home = toString ./. + "/";
  declared = position: {
    file = lib.removePrefix home (toString position.file);
    inherit (position) line;
  };

  # { text, markdown }: a value is Nix, unless its author wrote words.
  value = x: {
    text = lib.removeSuffix "\n" x.text;
    markdown = x._type == "literalMD";
  };
in
map
  (
    option:
    {
      inherit (option)
        name
        loc
        type
        readOnly
        ;
      description = lib.trim (option.description.text or option.description or "");
      declaredBy = map declared (
        builtins.filter (p: p.file != lib.unknownModule) option.declarationPositions
      );
    }
    // lib.optionalAttrs (option ? default) { default = value option.default; }
    // lib.optionalAttrs (option ? example) { example = value option.example; }
  )
  (
    lib.sort (a: b: lib.compareLists lib.compare a.loc b.loc < 0) (
      lib.filter (option: option.visible && !option.internal) (lib.optionAttrSetToDocList machine.options)
    )
  )

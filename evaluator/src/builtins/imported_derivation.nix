# What `import` of a derivation's file gives: a set for each output, as `derivation` makes them, but
# with nothing of the expression that the file came from.
fromFile@{ drvPath, outputs, name, ... }:

let
  named = map (outputName: {
    name = outputName;
    value = common // {
      outPath = builtins.getAttr outputName fromFile;
      inherit outputName;
    };
  }) outputs;

  common = builtins.listToAttrs named // {
    all = map (output: output.value) named;
    inherit drvPath name;
    type = "derivation";
  };
in
(builtins.head named).value

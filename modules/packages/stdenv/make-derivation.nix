# `stdenv.mkDerivation`: a derivation that runs the phases of setup.sh.
final: stdenv: attributes:
let
  inherit (builtins)
    concatLists
    concatMap
    filter
    isAttrs
    isFunction
    isList
    mapAttrs
    removeAttrs
    ;

  # `make (finalAttrs: { … })`, where `finalAttrs` is what overrides have made of the attributes.
  make =
    attributesOf:
    let
      own = attributesOf (own // { finalPackage = package; });
      package = build own // {
        overrideAttrs =
          change:
          make (
            finalAttrs:
            let
              previous = attributesOf finalAttrs;
              once = if isFunction change then change previous else change;
              # `overrideAttrs (finalAttrs: previousAttrs: { … })` takes both.
              new = if isFunction once then change finalAttrs previous else once;
            in
            previous // new
          );
        override = _: package;
      };
    in
    package;

  # Not for the builder.
  hidden = [
    "meta"
    "passthru"
    "pos"
    "env"
    "strictDeps"
    "finalPackage"
    "__darwinAllowLocalNetworking"
  ];

  flatten = list: if isList list then concatMap flatten list else if list == null then [ ] else [ list ];

  inputKinds = [
    "depsBuildBuild"
    "nativeBuildInputs"
    "nativeCheckInputs"
    "nativeInstallCheckInputs"
    "buildInputs"
    "checkInputs"
    "propagatedNativeBuildInputs"
    "propagatedBuildInputs"
  ];

  defaultBuilder = builtins.toFile "default-builder.sh" ''
    if [ -e "''${NIX_ATTRS_SH_FILE:-}" ]; then
      source "$NIX_ATTRS_SH_FILE"
    fi
    source "$stdenv/setup"
    genericBuild
  '';

  build =
    own:
    let
      name =
        own.name or (
          if own ? pname then
            "${own.pname}-${own.version or (throw "mkDerivation of '${own.pname}' needs a version")}"
          else
            throw "mkDerivation needs a name, or pname and version"
        );
      inputs =
        kind:
        # Checks need their inputs only if they are run.
        if kind == "nativeCheckInputs" || kind == "checkInputs" then
          if own.doCheck or false then flatten (own.${kind} or [ ]) else [ ]
        else if kind == "nativeInstallCheckInputs" then
          if own.doInstallCheck or false then flatten (own.${kind} or [ ]) else [ ]
        else
          flatten (own.${kind} or [ ]);
      # Debian's packages for developers need the headers of those that they depend on.
      locked = builtins.catAttrs "pname" (
        filter (input: isAttrs input && input ? dependencies) (
          inputs "buildInputs" ++ inputs "propagatedBuildInputs" ++ inputs "checkInputs"
        )
      );
      outputs = own.outputs or [ "out" ];
      variables =
        removeAttrs own (hidden ++ inputKinds ++ [ "builder" "args" "realBuilder" "stdenv" ])
        // (own.env or { })
        // {
          inherit name outputs stdenv;
          inherit (final) system;
          builder = own.realBuilder or stdenv.shell;
          args = own.args or [
            "-e"
            (own.builder or defaultBuilder)
          ];
          nativeBuildInputs =
            inputs "depsBuildBuild"
            ++ inputs "nativeBuildInputs"
            ++ inputs "nativeCheckInputs"
            ++ inputs "nativeInstallCheckInputs";
          buildInputs = inputs "buildInputs" ++ inputs "checkInputs";
          propagatedNativeBuildInputs = inputs "propagatedNativeBuildInputs";
          propagatedBuildInputs = inputs "propagatedBuildInputs";
          impliedBuildInputs = if locked == [ ] then [ ] else final.developmentPathsOf locked;
        };
      object = derivation variables;
      passthru = own.passthru or { };
      meta = {
        inherit name outputs;
        outputsToInstall = [ (builtins.head outputs) ];
        available = true;
        broken = false;
        platforms = [ final.system ];
        description = "";
      }
      // (own.meta or { });
      withMeta = output: output // passthru // common;
      common = {
        inherit meta passthru stdenv;
        inherit (own) ;
      }
      // (builtins.intersectAttrs {
        pname = null;
        version = null;
        src = null;
        patches = null;
      } own)
      // {
        inherit (variables) nativeBuildInputs buildInputs propagatedBuildInputs;
      };
      byOutput = builtins.listToAttrs (
        map (output: {
          name = output;
          value = withMeta object.${output};
        }) outputs
      );
    in
    object // passthru // common // byOutput // { all = map (output: byOutput.${output}) outputs; };
in
make (if isFunction attributes then attributes else _: attributes)

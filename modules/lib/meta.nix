# What is said of packages.
{ lib }:

rec {
  addMetaAttrs = attrs: drv: drv // { meta = (drv.meta or { }) // attrs; };
  setName = name: drv: drv // { inherit name; };
  updateName = f: drv: drv // { name = f drv.name; };
  # "hello-1.2" with "x" is "hello-x-1.2".
  appendToName =
    suffix:
    updateName (
      name:
      let
        parsed = builtins.parseDrvName name;
      in
      "${parsed.name}-${suffix}${if parsed.version == "" then "" else "-${parsed.version}"}"
    );
  mapDerivationAttrset = f: builtins.mapAttrs (_: x: if lib.isDerivation x then f x else x);
  setPrio = priority: addMetaAttrs { inherit priority; };
  lowPrio = setPrio 10;
  hiPrio = setPrio (-10);
  lowPrioSet = builtins.mapAttrs (_: lowPrio);
  hiPrioSet = builtins.mapAttrs (_: hiPrio);
  dontDistribute = addMetaAttrs { hydraPlatforms = [ ]; };
  availableOn = _: _: true;
  getExe =
    pkg:
    getExe' pkg (
      pkg.meta.mainProgram or (builtins.parseDrvName (pkg.pname or pkg.name or (toString pkg))).name
    );
  getExe' =
    pkg: program:
    if lib.hasInfix "/" program then
      throw "getExe': ${builtins.toJSON program} is the name of a program, and has no slash; use \"\${pkg}/…\""
    else
      "${lib.getBin pkg}/bin/${program}";
  getLicenseFromSpdxId =
    id: getLicenseFromSpdxIdOr id (throw "no licence has the SPDX identifier ${id}");
  getLicenseFromSpdxIdOr =
    id: default:
    lib.findFirst (l: lib.toLower (l.spdxId or "") == lib.toLower id) default (
      builtins.attrValues lib.licenses
    );
}

# Kernels. Debian's packages without a version in their name depend on the one that is meant.
{ facts }:
final: below:
let
  prefix = "linux-image-";
  cut = name: builtins.substring (builtins.stringLength prefix) (-1) name;
  isImage = name: builtins.substring 0 (builtins.stringLength prefix) name == prefix;

  kernel =
    name:
    let
      wanted = below.${name} or (throw "the archive has no kernel package '${name}'");
      images = builtins.filter isImage wanted.dependencies;
      image = if images == [ ] then name else builtins.head images;
      release = cut image;
      inherit (below.${image}.passthru) object;
      self = below.${image} // {
        pname = "linux";
        # It is the package without a version that belongs into the lock.
        outPath = builtins.seq wanted.outPath object.outPath;
        drvPath = builtins.seq wanted.outPath object.drvPath;
        modDirVersion = release;
        inherit release;
        # Below its outPath.
        kernelFile = "boot/vmlinuz-${release}";
        out = self;
        all = [ self ];
      };
    in
    self;

  packagesFor = name: {
    kernel = kernel name;
    kernelPackage = name;
  };
in
rec {
  # What `boot.kernelPackages` takes.
  linuxPackages = packagesFor "linux-image-amd64";
  linuxPackages_cloud = packagesFor "linux-image-cloud-amd64";
  linuxPackages_rt = packagesFor "linux-image-rt-amd64";
  linuxPackages_latest = linuxPackages;
  linuxPackagesFor = packagesFor;
  linux = linuxPackages.kernel;
}

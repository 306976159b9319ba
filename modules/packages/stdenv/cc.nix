# GCC and the linker behind scripts that tell them where headers, start files and libraries are:
# nothing is below /usr.
final: stdenvNoCC:
let
  version = final.gcc-unwrapped.version;
in
stdenvNoCC.mkDerivation {
  pname = "gcc-wrapper";
  inherit version;

  # Debian's packages whose names are without a version depend on the compiler itself.
  gcc = final.gcc-unwrapped;
  gxx = final."g++";
  cpp = final.cpp;
  inherit (final) binutils;
  libcDev = final.libc6-dev;
  libc = final.libc6;
  headers = final.developmentPathsOf [ "libc6-dev" ];
  shell = final.runtimeShell;

  gccWrapper = ./gcc-wrapper.sh;
  ldWrapper = ./ld-wrapper.sh;

  buildCommand = ''
    source ${./make-cc.sh}
  '';

  meta = {
    description = "The GNU compilers for C and C++, with a linker, for the standard environment";
    mainProgram = "gcc";
  };
}

# The phases of a build, for bash. Sourced by the builder, after its attributes are variables.
# shellcheck shell=bash disable=SC2154,SC2086

set -eo pipefail
shopt -s extglob inherit_errexit
umask 0022

export SHELL=$shell
export CONFIG_SHELL=$shell
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-315532800}
export TZ=UTC
export NIX_BUILD_CORES=${NIX_BUILD_CORES:-1}

# Attributes that are lists are arrays if the derivation is structured, and words if it is not.
if [[ $(declare -p outputs 2>/dev/null) == 'declare -A'* ]]; then
  for outputName in "${!outputs[@]}"; do
    export "$outputName=${outputs[$outputName]}"
  done
  outputNames=("${!outputs[@]}")
else
  read -ra outputNames <<< "${outputs:-out}"
fi

# `words NAME`: the words of a variable, array or not, in the array `wordsOf`.
words() {
  local -n wordsVariable=$1
  if [[ ${wordsVariable@a} == *a* ]]; then
    wordsOf=("${wordsVariable[@]}")
  else
    read -r -d '' -a wordsOf <<< "${wordsVariable:-}" || true
  fi
}

# The arguments that several variables hold; those called …Array may have spaces in them.
argumentsOf() {
  local name
  arguments=()
  for name in "$@"; do
    words "$name"
    arguments+=("${wordsOf[@]}")
  done
}

header() { echo "$*"; }
nixInfoLog() { echo "$*" >&2; }
nixWarnLog() { echo "warning: $*" >&2; }
nixErrorLog() { echo "error: $*" >&2; }

# --- hooks ---

# `runHook NAME`: the functions of the array NAMEHooks, then the function or text called NAME.
runHook() {
  local hookName=$1 hook
  shift
  local -n hooksOf="${hookName}Hooks"
  for hook in "${hooksOf[@]}"; do
    runCode "$hook" "$@"
  done
  runCode "$hookName" "$@"
}

# The function called $1, or the text of the variable called $1, or nothing.
runCode() {
  local code=$1
  shift
  if declare -F "$code" > /dev/null; then
    "$code" "$@"
  elif [ -n "${!code:-}" ]; then
    eval "${!code}"
  fi
}

appendToVar() {
  local -n appended=$1
  shift
  if [[ ${appended@a} == *a* ]]; then appended+=("$@"); else appended="${appended:+$appended }$*"; fi
}

prependToVar() {
  local -n prepended=$1
  shift
  if [[ ${prepended@a} == *a* ]]; then
    prepended=("$@" "${prepended[@]}")
  else
    prepended="$*${prepended:+ $prepended}"
  fi
}

addToSearchPathWithCustomDelimiter() {
  if [ -d "$3" ]; then export "$2=${!2:+${!2}$1}$3"; fi
}
addToSearchPath() { addToSearchPathWithCustomDelimiter : "$@"; }

# --- inputs ---

PATH=
declare -A seenInputs=()
setupHooks=()
export NIX_CFLAGS_COMPILE NIX_LDFLAGS NIX_CFLAGS_LINK

addProgramsOf() {
  addToSearchPath PATH "$1/bin"
  if [ ! -L "$1/sbin" ]; then addToSearchPath PATH "$1/sbin"; fi
  addToSearchPath XDG_DATA_DIRS "$1/share"
  addToSearchPath ACLOCAL_PATH "$1/share/aclocal"
}

addLibrariesOf() {
  local folder
  for folder in "$1"/include/*-linux-gnu "$1/include"; do
    if [ -d "$folder" ]; then NIX_CFLAGS_COMPILE+=" -isystem $folder"; fi
  done
  for folder in "$1"/lib/*-linux-gnu "$1/lib" "$1/lib64"; do
    if [ -d "$folder" ] && [ ! -L "$folder" ]; then
      NIX_LDFLAGS+=" -L$folder"
      addToSearchPath PKG_CONFIG_PATH "$folder/pkgconfig"
    fi
  done
  addToSearchPath PKG_CONFIG_PATH "$1/share/pkgconfig"
  addToSearchPath CMAKE_PREFIX_PATH "$1"
}

# `addInput KIND PATH`, with what it propagates.
addInput() {
  local kind=$1 input=$2 more
  if [ -n "${seenInputs[$kind $input]:-}" ]; then return; fi
  seenInputs[$kind $input]=1
  if [ ! -e "$input" ]; then
    nixErrorLog "the build input $input does not exist"
    exit 1
  fi
  if [ -f "$input" ]; then
    setupHooks+=("$input")
    return
  fi
  addProgramsOf "$input"
  if [ "$kind" = host ]; then addLibrariesOf "$input"; fi
  if [ -f "$input/nix-support/setup-hook" ]; then setupHooks+=("$input/nix-support/setup-hook"); fi
  if [ -f "$input/nix-support/propagated-build-inputs" ]; then
    for more in $(< "$input/nix-support/propagated-build-inputs"); do addInput "$kind" "$more"; done
  fi
  if [ -f "$input/nix-support/propagated-native-build-inputs" ]; then
    for more in $(< "$input/nix-support/propagated-native-build-inputs"); do
      addInput build "$more"
    done
  fi
}

argumentsOf nativeBuildInputs propagatedNativeBuildInputs
for input in "${arguments[@]}"; do addInput build "$input"; done
argumentsOf buildInputs propagatedBuildInputs impliedBuildInputs
for input in "${arguments[@]}"; do addInput host "$input"; done
for input in $initialPath; do addInput build "$input"; done
export PATH
HOST_PATH=$PATH

outputBin=${bin:+bin}; outputBin=${outputBin:-out}
outputDev=${dev:+dev}; outputDev=${outputDev:-out}
outputLib=${lib:+lib}; outputLib=${outputLib:-out}
outputDoc=${doc:+doc}; outputDoc=${outputDoc:-out}
outputMan=${man:+man}; outputMan=${outputMan:-$outputBin}
prefix=${prefix:-${out:-}}

# A library of the package itself is found by its programs: the linker's wrapper reads this.
if [ -n "${!outputLib:-}" ]; then export NIX_OWN_LIBRARIES=${!outputLib}/lib; fi

for hook in "${setupHooks[@]}"; do
  # shellcheck disable=SC1090
  source "$hook"
done

# --- texts ---

# `substitute FROM TO OPTIONS…`
substitute() {
  local from=$1 to=$2 content before
  shift 2
  if [ ! -f "$from" ]; then
    nixErrorLog "substitute: '$from' is no file"
    return 1
  fi
  # A command substitution cuts off the newlines at the end.
  content=$(cat "$from"; printf x)
  content=${content%x}
  replaceIn() {
    local old=$1 new=$2 mode=$3
    before=$content
    content=${content//"$old"/"$new"}
    if [ "$before" = "$content" ] && [ "$old" != "$new" ]; then
      case $mode in
        fail)
          nixErrorLog "substitute: '$from' has no '$old'"
          return 1
          ;;
        warn) nixWarnLog "substitute: '$from' has no '$old'" ;;
      esac
    fi
  }
  while (($# > 0)); do
    case $1 in
      --replace | --replace-warn) replaceIn "$2" "$3" warn; shift 3 ;;
      --replace-fail) replaceIn "$2" "$3" fail || return 1; shift 3 ;;
      --replace-quiet) replaceIn "$2" "$3" quiet; shift 3 ;;
      --subst-var) replaceIn "@$2@" "${!2}" quiet; shift 2 ;;
      --subst-var-by) replaceIn "@$2@" "$3" quiet; shift 3 ;;
      *)
        nixErrorLog "substitute: unknown option '$1'"
        return 1
        ;;
    esac
  done
  printf '%s' "$content" > "$to.substituted"
  if [ -e "$to" ]; then
    cat "$to.substituted" > "$to"
  else
    cp "$to.substituted" "$to"
  fi
  rm "$to.substituted"
}

# `substituteInPlace FILES… OPTIONS…`
substituteInPlace() {
  local files=() file
  while (($# > 0)) && [[ $1 != --* ]]; do
    files+=("$1")
    shift
  done
  for file in "${files[@]}"; do
    substitute "$file" "$file" "$@" || return 1
  done
}

# `substituteAll FROM TO`: each @name@ whose variable is exported.
substituteAll() {
  local name options=()
  for name in $(compgen -e); do
    if [[ $name =~ ^[a-z][A-Za-z0-9_]*$ ]]; then options+=(--subst-var "$name"); fi
  done
  substitute "$1" "$2" "${options[@]}"
}
substituteAllInPlace() { substituteAll "$1" "$1"; }

# Scripts whose interpreter is /bin/… or /usr/bin/… get the one that the build has on its PATH.
patchShebangs() {
  local root file line interpreter arguments found
  for root in "$@"; do
    if [[ $root == --* ]] || [ ! -e "$root" ]; then continue; fi
    while IFS= read -r -d '' file; do
      line=
      IFS= read -r line < "$file" || true
      if [[ $line != '#!'* ]]; then continue; fi
      read -r interpreter arguments <<< "${line#\#!}" || true
      case $interpreter in
        /nix/store/*) continue ;;
        */env)
          if [[ $arguments == -* || $arguments == *=* ]]; then continue; fi
          read -r interpreter arguments <<< "$arguments" || true
          ;;
      esac
      if ! found=$(type -P "${interpreter##*/}"); then
        # Debian's sh is a package of its own.
        if [ "${interpreter##*/}" != sh ]; then continue; fi
        found=$SHELL
      fi
      nixInfoLog "$file: interpreter $found"
      if [ ! -w "$file" ]; then chmod u+w "$file"; fi
      sed -i "1s|.*|#!$found${arguments:+ $arguments}|" "$file"
    done < <(find "$root" -type f -perm -0100 -print0 2> /dev/null < /dev/null | filterScripts)
  done
}

filterScripts() {
  local file
  while IFS= read -r -d '' file; do
    if [ "$(head -c 2 "$file" | tr -d '\0')" = '#!' ]; then printf '%s\0' "$file"; fi
  done
}

# Links of a tree as a tree of folders that can be added to.
unfoldLinkTree() {
  mkdir -p "$2"
  local entry name
  for entry in "$1"/* "$1"/.[!.]*; do
    name=${entry##*/}
    if [ ! -e "$entry" ] && [ ! -L "$entry" ]; then continue; fi
    if [ -d "$entry" ]; then
      unfoldLinkTree "$entry" "$2/$name"
    else
      ln -s "$(readlink "$entry" || echo "$entry")" "$2/$name"
    fi
  done
}

# --- phases ---

# `stripHash PATH`: a store path's name without its hash.
stripHash() {
  strippedName=${1##*/}
  if [[ $strippedName =~ ^[a-z0-9]{32}- ]]; then strippedName=${strippedName:33}; fi
  echo "$strippedName"
}

unpackFile() {
  local source=$1 name
  name=$(stripHash "$source")
  echo "unpacking $source"
  curSrc=$source
  if [ -n "${unpackCmd:-}" ]; then
    eval "$unpackCmd"
    return
  fi
  if [ -d "$source" ]; then
    cp -R --preserve=mode,timestamps --reflink=auto -- "$source" "$name"
    return
  fi
  case $source in
    *.tar | *.tar.* | *.tgz | *.tbz2 | *.tbz | *.txz | *.crate)
      tar --extract --file "$source" --no-same-owner --mode=+w --warning=no-timestamp
      ;;
    *.zip) unzip -qq "$source" ;;
    *)
      nixErrorLog "$source is no archive that can be unpacked; set unpackCmd or dontUnpack"
      exit 1
      ;;
  esac
}

unpackPhase() {
  runHook preUnpack
  argumentsOf srcs
  if ((${#arguments[@]} == 0)); then argumentsOf src; fi
  if ((${#arguments[@]} == 0)); then
    nixErrorLog 'src or srcs should name what is built; or set dontUnpack'
    exit 1
  fi
  local before=$'\n' folder source
  for folder in */; do before+="$folder"$'\n'; done
  for source in "${arguments[@]}"; do unpackFile "$source"; done
  if [ -n "${setSourceRoot:-}" ]; then
    runCode setSourceRoot
  elif [ -z "${sourceRoot:-}" ]; then
    for folder in */; do
      if [ ! -d "$folder" ] || [[ $before == *$'\n'"$folder"$'\n'* ]]; then continue; fi
      if [ -n "${sourceRoot:-}" ]; then
        nixErrorLog 'the source has several folders; set sourceRoot'
        exit 1
      fi
      sourceRoot=${folder%/}
    done
  fi
  if [ -z "${sourceRoot:-}" ]; then
    nixErrorLog 'the source has no folder; set sourceRoot'
    exit 1
  fi
  echo "source root is $sourceRoot"
  if [ -z "${dontMakeSourcesWritable:-}" ]; then chmod -R u+w -- "$sourceRoot"; fi
  runHook postUnpack
}

patchPhase() {
  runHook prePatch
  local file
  argumentsOf patches
  for file in "${arguments[@]}"; do
    echo "applying patch $file"
    words patchFlags
    if ((${#wordsOf[@]} == 0)); then wordsOf=(-p1); fi
    case $file in
      *.gz) gzip -d < "$file" ;;
      *.bz2) bzip2 -d < "$file" ;;
      *.xz) xz -d < "$file" ;;
      *) cat "$file" ;;
    esac | patch "${wordsOf[@]}"
  done
  runHook postPatch
}

configurePhase() {
  runHook preConfigure
  if [ -n "${configureScript:-}" ]; then
    configureWithScript
  elif type -P cmake > /dev/null && [ -e CMakeLists.txt ] && [ -z "${dontUseCmakeConfigure:-}" ]; then
    configureWithCmake
  elif type -P meson > /dev/null && [ -e meson.build ] && [ -z "${dontUseMesonConfigure:-}" ]; then
    configureWithMeson
  elif [ -x ./configure ]; then
    configureScript=./configure
    configureWithScript
  else
    echo 'nothing to configure'
  fi
  runHook postConfigure
}

configureWithScript() {
  local flags=()
  if [ -z "${dontAddPrefix:-}" ]; then flags+=("${prefixKey:---prefix=}$prefix"); fi
  if [ -z "${dontAddDisableDepTrack:-}" ] && grep -q dependency-tracking "$configureScript"; then
    flags+=(--disable-dependency-tracking)
  fi
  if [ -z "${dontPatchShebangsInConfigure:-}" ]; then patchShebangs "$configureScript"; fi
  argumentsOf configureFlags configureFlagsArray
  flags+=("${arguments[@]}")
  echo "configuring with $configureScript ${flags[*]}"
  "$configureScript" "${flags[@]}"
}

configureWithCmake() {
  local flags=(
    -DCMAKE_INSTALL_PREFIX="$prefix"
    -DCMAKE_BUILD_TYPE="${cmakeBuildType:-Release}"
    -DCMAKE_SKIP_BUILD_RPATH=ON
    -DCMAKE_INSTALL_LIBDIR=lib
    -DBUILD_TESTING="$([ -n "${doCheck:-}" ] && echo ON || echo OFF)"
    -DCMAKE_FIND_USE_SYSTEM_PACKAGE_REGISTRY=OFF
    -DCMAKE_EXPORT_NO_PACKAGE_REGISTRY=ON
  )
  if type -P ninja > /dev/null; then flags+=(-GNinja); fi
  # Where Debian's packages have their libraries.
  if [ -n "${NIX_CC_MACHINE:-}" ]; then flags+=(-DCMAKE_LIBRARY_ARCHITECTURE="$NIX_CC_MACHINE"); fi
  argumentsOf cmakeFlags cmakeFlagsArray
  flags+=("${arguments[@]}")
  local source=$PWD
  if [ -z "${dontUseCmakeBuildDir:-}" ]; then
    mkdir -p "${cmakeBuildDir:=build}"
    cd "$cmakeBuildDir"
  fi
  echo "configuring with cmake ${flags[*]}"
  cmake "${cmakeDir:-$source}" "${flags[@]}"
}

configureWithMeson() {
  argumentsOf mesonFlags mesonFlagsArray
  local flags=(--prefix="$prefix" --libdir=lib --buildtype="${mesonBuildType:-plain}" "${arguments[@]}")
  echo "configuring with meson ${flags[*]}"
  meson setup "${mesonBuildDir:-build}" "${flags[@]}"
  cd "${mesonBuildDir:-build}"
}

usesNinja() { [ -e build.ninja ] && type -P ninja > /dev/null; }
hasMakefile() { [ -n "${makefile:-}" ] || [ -e Makefile ] || [ -e makefile ] || [ -e GNUmakefile ]; }

# `runMake PARALLEL ARGUMENTS…`
runMake() {
  local parallel=$1
  shift
  if usesNinja; then
    ninja -j"$([ -n "$parallel" ] && echo "$NIX_BUILD_CORES" || echo 1)" "$@"
    return
  fi
  argumentsOf makeFlags makeFlagsArray
  local flags=(SHELL="$SHELL" "${arguments[@]}")
  if [ -n "${makefile:-}" ]; then flags+=(-f "$makefile"); fi
  if [ -n "$parallel" ]; then flags+=(-j"$NIX_BUILD_CORES"); fi
  make "${flags[@]}" "$@"
}

buildPhase() {
  runHook preBuild
  if usesNinja || hasMakefile; then
    argumentsOf buildFlags buildFlagsArray
    runMake "${enableParallelBuilding-1}" "${arguments[@]}"
  else
    echo 'nothing to build: there is no Makefile'
  fi
  runHook postBuild
}

checkPhase() {
  runHook preCheck
  if usesNinja || hasMakefile; then
    argumentsOf checkTarget checkFlags checkFlagsArray
    if [ -z "${checkTarget:-}" ]; then arguments=("$(makeTarget check test)" "${arguments[@]}"); fi
    if [ -n "${arguments[0]:-}" ]; then runMake "${enableParallelChecking-1}" "${arguments[@]}"; fi
  fi
  runHook postCheck
}

# The first of the targets that there is.
makeTarget() {
  local target
  for target in "$@"; do
    if usesNinja; then
      if ninja -t query "$target" > /dev/null 2>&1; then echo "$target"; return; fi
    elif make -n "$target" > /dev/null 2>&1; then
      echo "$target"
      return
    fi
  done
}

installPhase() {
  runHook preInstall
  if usesNinja || hasMakefile; then
    if [ -n "$prefix" ]; then mkdir -p "$prefix"; fi
    argumentsOf installTargets installFlags installFlagsArray
    if [ -z "${installTargets:-}" ]; then arguments=(install "${arguments[@]}"); fi
    runMake "${enableParallelInstalling:-}" "${arguments[@]}"
  else
    nixErrorLog 'there is no Makefile to install with; set installPhase'
    exit 1
  fi
  runHook postInstall
}

fixupPhase() {
  local name folder
  for name in "${outputNames[@]}"; do
    if [ -e "${!name}" ] && [ ! -L "${!name}" ]; then chmod -R u+w,u-s,g-s -- "${!name}"; fi
  done
  runHook preFixup
  for name in "${outputNames[@]}"; do
    prefix=${!name}
    if [ ! -d "$prefix" ]; then continue; fi
    if [ -d "$prefix/sbin" ] && [ ! -L "$prefix/sbin" ] && [ -z "${dontMoveSbin:-}" ]; then
      mkdir -p "$prefix/bin"
      mv "$prefix"/sbin/* "$prefix/bin/"
      rmdir "$prefix/sbin"
      ln -s bin "$prefix/sbin"
    fi
    if [ -z "${dontPatchShebangs:-}" ]; then patchShebangs "$prefix"; fi
    if [ -z "${dontStrip:-}" ] && type -P strip > /dev/null; then stripOutput "$prefix"; fi
    runHook fixupOutput
  done
  if [ -n "${propagatedBuildInputs[*]:-}" ]; then
    mkdir -p "${!outputDev}/nix-support"
    words propagatedBuildInputs
    printf '%s\n' "${wordsOf[@]}" > "${!outputDev}/nix-support/propagated-build-inputs"
  fi
  if [ -n "${propagatedNativeBuildInputs[*]:-}" ]; then
    mkdir -p "${!outputDev}/nix-support"
    words propagatedNativeBuildInputs
    printf '%s\n' "${wordsOf[@]}" > "${!outputDev}/nix-support/propagated-native-build-inputs"
  fi
  if [ -n "${setupHook:-}" ]; then
    mkdir -p "${!outputDev}/nix-support"
    substituteAll "$setupHook" "${!outputDev}/nix-support/setup-hook"
  fi
  runHook postFixup
}

# Symbols for debuggers go; libtool's files name folders that are not there.
stripOutput() {
  local folder
  for folder in bin sbin lib lib64 libexec; do
    if [ ! -d "$1/$folder" ] || [ -L "$1/$folder" ]; then continue; fi
    find "$1/$folder" -type f \( -perm -0100 -o -name '*.so*' -o -name '*.a' \) -print0 |
      xargs -0 -r strip --strip-debug --enable-deterministic-archives 2> /dev/null || true
  done
}

installCheckPhase() {
  runHook preInstallCheck
  if hasMakefile; then
    argumentsOf installCheckTarget
    runMake '' "${arguments[@]:-installcheck}"
  fi
  runHook postInstallCheck
}

distPhase() {
  runHook preDist
  runMake '' "${distTarget:-dist}"
  runHook postDist
}

showPhaseHeader() { echo "@ phase $1"; }

runPhase() {
  local phase=$1
  case $phase in
    unpackPhase) if [ -n "${dontUnpack:-}" ]; then return; fi ;;
    patchPhase) if [ -n "${dontPatch:-}" ]; then return; fi ;;
    configurePhase) if [ -n "${dontConfigure:-}" ]; then return; fi ;;
    buildPhase) if [ -n "${dontBuild:-}" ]; then return; fi ;;
    checkPhase) if [ -z "${doCheck:-}" ]; then return; fi ;;
    installPhase) if [ -n "${dontInstall:-}" ]; then return; fi ;;
    fixupPhase) if [ -n "${dontFixup:-}" ]; then return; fi ;;
    installCheckPhase) if [ -z "${doInstallCheck:-}" ]; then return; fi ;;
    distPhase) if [ -z "${doDist:-}" ]; then return; fi ;;
  esac
  showPhaseHeader "$phase"
  # The text of an attribute comes before the function of the same name.
  if [ -n "${!phase:-}" ]; then eval "${!phase}"; else "$phase"; fi
  if [ "$phase" = unpackPhase ]; then cd -- "${sourceRoot:-.}"; fi
}

genericBuild() {
  if [ -n "${buildCommandPath:-}" ]; then
    source "$buildCommandPath"
    return
  fi
  if [ -n "${buildCommand:-}" ]; then
    eval "$buildCommand"
    return
  fi
  local phase
  argumentsOf phases
  if ((${#arguments[@]} == 0)); then
    argumentsOf prePhases
    local all=("${arguments[@]}" unpackPhase patchPhase)
    argumentsOf preConfigurePhases
    all+=("${arguments[@]}" configurePhase)
    argumentsOf preBuildPhases
    all+=("${arguments[@]}" buildPhase checkPhase)
    argumentsOf preInstallPhases
    all+=("${arguments[@]}" installPhase)
    argumentsOf preFixupPhases
    all+=("${arguments[@]}" fixupPhase installCheckPhase)
    argumentsOf preDistPhases
    all+=("${arguments[@]}" distPhase)
    argumentsOf postPhases
    all+=("${arguments[@]}")
    arguments=("${all[@]}")
  fi
  for phase in "${arguments[@]}"; do runPhase "$phase"; done
}

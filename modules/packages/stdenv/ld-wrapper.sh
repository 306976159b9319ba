#!@shell@
# The linker, with the places of libraries: those that a program is linked with are written into
# it, because no folder is searched by itself when it starts.

folders=()
names=()
files=()
shared=
static=
relocatable=
noloader=
previous=

look() {
  local argument
  for argument in "$@"; do
    case $previous in
      -L) folders+=("$argument"); previous=; continue ;;
      -l) names+=("$argument"); previous=; continue ;;
      -o | -rpath | -rpath-link | -dynamic-linker | -soname | -plugin | -z | -m | -T | -e | -h)
        previous=
        continue
        ;;
    esac
    case $argument in
      -L | -l | -o | -rpath | -rpath-link | -dynamic-linker | -soname | -plugin | -z | -m | -T | -e | -h)
        previous=$argument
        ;;
      -L*) folders+=("${argument#-L}") ;;
      -l*) names+=("${argument#-l}") ;;
      -shared) shared=1 ;;
      -static | -Bstatic) static=1 ;;
      -Bdynamic) static= ;;
      -r | -i | --relocatable) relocatable=1 ;;
      --no-dynamic-linker) noloader=1 ;;
      -*) ;;
      *.so | *.so.*) if [ -e "$argument" ]; then files+=("$argument"); fi ;;
      @*) if [ -r "${argument#@}" ]; then look $(< "${argument#@}"); fi ;;
    esac
  done
}
look "$@" $NIX_LDFLAGS

if [ -n "$relocatable" ]; then exec @program@ "$@"; fi

extra=($NIX_LDFLAGS @libraries@)
if [ -n "$static" ] || [ -n "$noloader" ]; then exec @program@ "$@" "${extra[@]}"; fi

look @libraries@
declare -A known=()
rpath=()

# `add FILE`: the folder in which a library will be found.
add() {
  local real magic word
  LC_ALL=C read -r -n 4 magic < "$1" || true
  if [ "$magic" != $'\x7fELF' ]; then
    # A text for the linker, which names others.
    for word in $(< "$1"); do
      case $word in
        -l*) find "${word#-l}" ;;
        /*.so | /*.so.*) if [ -e "$word" ]; then add "$word"; fi ;;
        *.so | *.so.*) find ":$word" ;;
      esac
    done
    return
  fi
  real=$(readlink -f "$1") || return
  real=${real%/*}
  if [[ $real != /nix/store/* ]]; then
    # It was just built, and will be installed.
    real=$NIX_OWN_LIBRARIES
  fi
  if [ -n "$real" ] && [ -z "${known[$real]}" ]; then
    known[$real]=1
    rpath+=(-rpath "$real")
  fi
}

# `find NAME`: the library that `-lNAME` means.
find() {
  local folder file
  for folder in "${folders[@]}"; do
    file=$folder/lib$1.so
    if [[ $1 == :* ]]; then file=$folder/${1#:}; fi
    if [ -e "$file" ]; then
      add "$file"
      return
    fi
    if [ -e "$folder/lib$1.a" ]; then return; fi
  done
}

for name in "${names[@]}"; do find "$name"; done
for file in "${files[@]}"; do add "$file"; done
# Everything needs the C library, whose folder has that of the compiler, too.
if [ -z "${known[@libc@]}" ]; then rpath+=(-rpath @libc@); fi

if [ -z "$shared" ]; then extra+=(-dynamic-linker @loader@); fi
exec @program@ "$@" "${extra[@]}" --enable-new-dtags "${rpath[@]}"

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
      /nix/store/*.so | /nix/store/*.so.*) files+=("$argument") ;;
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
add() {
  local real
  real=$(readlink -f "$1") || return
  real=${real%/*}
  if [[ $real == /nix/store/* ]] && [ -z "${known[$real]}" ]; then
    known[$real]=1
    rpath+=(-rpath "$real")
  fi
}
for name in "${names[@]}"; do
  for folder in "${folders[@]}"; do
    file=$folder/lib$name.so
    if [[ $name == :* ]]; then file=$folder/${name#:}; fi
    if [ -e "$file" ]; then
      # A text for the linker names others, which lie in the C library's folder.
      add "$file"
      break
    fi
  done
done
for file in "${files[@]}"; do add "$file"; done
unset "known[@libc@]"
add @libc@/libc.so.6
# The wrapper's own folder has nothing that is loaded.
kept=()
for argument in "${rpath[@]}"; do
  if [ "$argument" = @out@/lib ]; then unset 'kept[-1]'; continue; fi
  kept+=("$argument")
done

if [ -z "$shared" ]; then extra+=(-dynamic-linker @loader@); fi
exec @program@ "$@" "${extra[@]}" --enable-new-dtags "${kept[@]}"

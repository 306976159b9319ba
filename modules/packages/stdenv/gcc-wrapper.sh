#!@shell@
# The compiler, with the places of headers, start files and libraries.

links=1
headers=1
for argument in "$@"; do
  case $argument in
    -c | -S | -E | -M | -MM | -fsyntax-only) links= ;;
    -nostdinc) headers= ;;
  esac
done

before=(@before@)
after=()
if [ -n "$headers" ]; then after+=($NIX_CFLAGS_COMPILE @includes@); fi
if [ -n "$links" ]; then after+=($NIX_CFLAGS_LINK); fi
# Only to say which version it is, no file is named: then there is nothing to link.
if [ $# = 1 ]; then
  case $1 in -v | --version | -dumpversion | -dumpmachine | -dumpfullversion) exec @program@ "$@" ;; esac
fi

exec @program@ "${before[@]}" "$@" "${after[@]}"

# Scripts that set up an environment and execute a program.
# shellcheck shell=bash

# `makeWrapper PROGRAM WRAPPER OPTIONS…`
makeWrapper() {
  local program=$1 wrapper=$2 argv0='"$0"' flags='' after='' body='' name
  shift 2
  if [ ! -x "$program" ]; then
    echo "makeWrapper: $program is not there, or not executable" >&2
    return 1
  fi
  joined() {
    # variable, separator, value, whether it goes in front
    if [ -n "$4" ]; then
      printf 'export %s=%q${%s:+%q$%s}\n' "$1" "$3" "$1" "$2" "$1"
    else
      printf 'export %s=${%s:+$%s%q}%q\n' "$1" "$1" "$1" "$2" "$3"
    fi
  }
  while (($# > 0)); do
    case $1 in
      --set) body+="export $2=$(printf %q "$3")"$'\n'; shift 3 ;;
      --set-default) body+="export $2=\${$2-$(printf %q "$3")}"$'\n'; shift 3 ;;
      --unset) body+="unset $2"$'\n'; shift 2 ;;
      --chdir) body+="cd $(printf %q "$2")"$'\n'; shift 2 ;;
      --run) body+="$2"$'\n'; shift 2 ;;
      --prefix) body+="$(joined "$2" "$3" "$4" 1)"$'\n'; shift 4 ;;
      --suffix) body+="$(joined "$2" "$3" "$4" '')"$'\n'; shift 4 ;;
      --prefix-each | --suffix-each)
        for name in $4; do
          body+="$(joined "$2" "$3" "$name" "$([ "$1" = --prefix-each ] && echo 1)")"$'\n'
        done
        shift 4
        ;;
      --add-flags | --add-flag) flags+=" $2"; shift 2 ;;
      --append-flags | --append-flag) after+=" $2"; shift 2 ;;
      --argv0) argv0=$(printf %q "$2"); shift 2 ;;
      --inherit-argv0) argv0='"$0"'; shift ;;
      --resolve-argv0) shift ;;
      *)
        echo "makeWrapper: unknown option $1" >&2
        return 1
        ;;
    esac
  done
  mkdir -p "$(dirname "$wrapper")"
  {
    printf '#!@shell@\n%s' "$body"
    printf 'exec -a %s %q%s "$@"%s\n' "$argv0" "$program" "$flags" "$after"
  } > "$wrapper"
  chmod +x "$wrapper"
}

# `wrapProgram PROGRAM OPTIONS…`: the program moves aside, and its wrapper takes its name.
wrapProgram() {
  local program=$1 hidden
  shift
  hidden=$(dirname "$program")/.$(basename "$program")-wrapped
  while [ -e "$hidden" ]; do hidden+=_; done
  mv "$program" "$hidden"
  makeWrapper "$hidden" "$program" "$@"
}
makeShellWrapper() { makeWrapper "$@"; }
makeBinaryWrapper() { makeWrapper "$@"; }
wrapProgramShell() { wrapProgram "$@"; }

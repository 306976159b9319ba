# Builds the compiler's wrapper. Everything is looked for: versions and machine are in the names.
# shellcheck shell=bash disable=SC2154

realGcc=$(readlink -f "$gcc/bin/gcc")
realGxx=$(readlink -f "$gxx/bin/g++")
realCpp=$(readlink -f "$cpp/bin/cpp")
machine=$(basename "$realGcc")
machine=${machine%-gcc-*}
gccVersion=${realGcc##*-gcc-}
gccFolder=$(dirname "$(dirname "$realGcc")")/lib/gcc/$machine/$gccVersion
cppFolder=$(dirname "$(dirname "$realCpp")")/lib/gcc/$machine/$gccVersion
libcLib=$(dirname "$(readlink -f "$libc/lib/$machine/libc.so.6")")
loader=$(readlink -f "$libc/lib64/ld-linux-x86-64.so.2")

for file in "$realGcc" "$realGxx" "$realCpp" "$gccFolder/crtbegin.o" "$libcLib/libc.so.6" "$loader"; do
  if [ ! -e "$file" ]; then
    echo "the toolchain lacks $file" >&2
    exit 1
  fi
done

mkdir -p "$out/bin" "$out/lib" "$out/libexec" "$out/nix-support"

# Libraries that are texts for the linker name files below /lib and /usr/lib.
for script in "$libcDev/lib/$machine"/*.so "$libcDev/lib/$machine"/*.a; do
  if [ "$(head -c 16 "$script" | tr -d '\0')" != '/* GNU ld script' ]; then continue; fi
  target=$out/lib/${script##*/}
  sed -E "s|/usr/lib/$machine/|$libcDev/lib/$machine/|g
          s|([ (])/lib/$machine/|\1$libcLib/|g
          s|/lib64/ld-linux-x86-64.so.2|$loader|g" "$script" > "$target"
done

# Where the compiler looks for start files, it looks for libraries, too.
ln -s "$libcDev/lib/$machine"/*.o "$out/lib/"

includes=
for folder in $libcDev $headers; do
  for include in "$folder/include/$machine" "$folder/include"; do
    case " $includes " in *" -idirafter $include "*) continue ;; esac
    if [ -d "$include" ]; then includes+=" -idirafter $include"; fi
  done
done

libraries="-L$out/lib -L$libcDev/lib/$machine -L$libcLib"
for folder in $headers; do
  if [ -d "$folder/lib/$machine" ] && [ "$folder" != "$libcDev" ]; then
    libraries+=" -L$folder/lib/$machine"
  fi
done

# `wrap TEMPLATE PROGRAM NAME`
wrap() {
  substitute "$1" "$3" \
    --subst-var-by shell "$shell" \
    --subst-var-by program "$2" \
    --subst-var-by out "$out" \
    --subst-var-by before "-B$out/libexec/ -B$out/lib/ -B$cppFolder/" \
    --subst-var-by includes "$includes" \
    --subst-var-by libraries "$libraries" \
    --subst-var-by libc "$libcLib" \
    --subst-var-by loader "$loader"
  chmod +x "$3"
}

wrap "$gccWrapper" "$realGcc" "$out/bin/gcc"
wrap "$gccWrapper" "$realGxx" "$out/bin/g++"
wrap "$gccWrapper" "$realCpp" "$out/bin/cpp"
ln -s gcc "$out/bin/cc"
ln -s g++ "$out/bin/c++"
for name in gcc g++ cpp; do ln -s "$name" "$out/bin/$machine-$name"; done

for tool in "$binutils"/bin/*; do
  name=${tool##*/}
  name=${name#"$machine"-}
  if [ -e "$out/bin/$name" ]; then continue; fi
  case $name in
    ld | ld.bfd | ld.gold)
      wrap "$ldWrapper" "$(readlink -f "$tool")" "$out/bin/$name"
      ln -s "$out/bin/$name" "$out/libexec/$name"
      ;;
    *) ln -s "$(readlink -f "$tool")" "$out/bin/$name" ;;
  esac
done
ln -s "$(readlink -f "$binutils/bin/as")" "$out/libexec/as"

cat > "$out/nix-support/setup-hook" << END
export CC=gcc CXX=g++ CPP="gcc -E" LD=ld AR=ar AS=as NM=nm RANLIB=ranlib STRIP=strip OBJCOPY=objcopy
export NIX_CC=$out NIX_CC_MACHINE=$machine
END

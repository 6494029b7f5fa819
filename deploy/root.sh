#!/usr/bin/env bash
# Runs while an image is built; puts together its whole file system and nothing else: no shell, no installer.
#   root.sh python PACKAGES ROOT     Python with its standard library, the packages, the C libraries these need
#   root.sh service NAME APP ROOT    the code in APP on top, without the packages that it does not import
set -euo pipefail
python=$(python3 -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}")')
lib=usr/local/lib/$python
some_only="numpy rapidfuzz"   # large packages that not every service imports

compile() { # the root is read-only where it runs, so all bytecode is made here
  python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash "$@"
}

add_python() {
  local packages=$1 root=$2
  mkdir -p "$root"/{app,tmp,etc/ssl/certs,usr/local/bin,"$lib",var/lib/bandung}
  cp -a "/$lib/." "$root/$lib/"
  cp -a "/usr/local/bin/$python" "$root/usr/local/bin/"
  ln -s "$python" "$root/usr/local/bin/python"
  # editors, tests, installers and what only a terminal needs run in no service
  (cd "$root/$lib" && rm -rf site-packages/* ensurepip idlelib tkinter turtledemo turtle.py pydoc_data test config-* \
    lib-dynload/*{_test,_xxtest,xxlimited,xxsubtype,_tkinter,_curses,readline}*)
  cp -a "$packages/lib/$python/site-packages/." "$root/$lib/site-packages/"
  find "$root/$lib/site-packages" -type d -name tests -prune -exec rm -rf {} +
  find "$root/$lib/site-packages" -type f \( -name '*.pyi' -o -name '*.py[xd]' -o -name '*.[ch]' -o -name '*.cpp' \) -delete
  compile "$root/$lib" >/dev/null || true   # some packages carry files for other versions of Python
  add_libraries "$root"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  printf 'root:x:0:0::/:/none\nbandung:x:10001:10001::/var/lib/bandung:/none\n' >"$root/etc/passwd"
  printf 'root:x:0:\nbandung:x:10001:\n' >"$root/etc/group"
  chmod 1777 "$root/tmp"
  chown 10001:10001 "$root/var/lib/bandung"
  chmod 0700 "$root/var/lib/bandung"
}

add_libraries() { # every C library that the interpreter or a package is linked to, at the path where it was found
  local root=$1
  find "$root/usr/local" -type f \( -name '*.so*' -o -path '*/bin/*' \) -print0 |
    xargs -0 ldd 2>/dev/null | sed -nE 's/^\t(.* => )?(\/[^ ]+) \(0x.*/\2/p' | sort -u |
    while read -r library; do
      [[ $library == "$root"* ]] || cp --parents -L "$library" "$root"
    done
  # debug symbols are a fifth of the size and serve nobody here
  find "$root" -type f \( -name '*.so*' -o -path '*/usr/local/bin/*' \) -exec strip --strip-unneeded {} + 2>/dev/null || true
  echo /usr/local/lib >"$root/etc/ld.so.conf"
  ldconfig -r "$root"
}

add_service() {
  local service=$1 app=$2 root=$3 package
  cp -a "$app/." "$root/app/"
  chmod -R a+rX "$root/app"   # a checkout may be private to its owner; in the image another user reads it
  for package in $some_only; do
    grep -rqE "^\s*(import|from) $package\b" "$root/app" --include='*.py' || rm -rf "$root/$lib/site-packages/$package"{,.libs,-*}
  done
  printf '#!/usr/local/bin/python\n"""The commands of this service."""\nimport runpy\n\nrunpy.run_module("services.%s", run_name="__main__", alter_sys=True)\n' \
    "$service" >"$root/usr/local/bin/bandung"
  chmod 0755 "$root/usr/local/bin/bandung"
  compile "$root/app"
  chroot "$root" /usr/local/bin/python -c "import sys; sys.path.insert(0, '/app'); import ssl, services.$service.app" ||
    { echo "the image of $service lacks something that it imports" >&2; exit 1; }
}

"add_$1" "${@:2}"

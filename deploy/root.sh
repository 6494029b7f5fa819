#!/usr/bin/env bash
# Runs while an image is built:  root.sh SERVICE APP PACKAGES ROOT
# Puts together the whole file system of one service: Python with its standard library, the packages that the code
# in APP imports, the C libraries these need, and nothing else. There is no shell and no package manager to misuse.
set -euo pipefail
service=$1 app=$2 packages=$3 root=$4
python=$(python3 -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}")')
lib=usr/local/lib/$python

mkdir -p "$root"/{app,tmp,etc/ssl/certs,usr/local/bin,usr/bin,"$lib"} "$root/var/lib/bandung"
cp -a "/$lib/." "$root/$lib/"
cp -a /usr/local/bin/"$python" "$root/usr/local/bin/"
ln -s "$python" "$root/usr/local/bin/python"
ln -s "$python" "$root/usr/local/bin/python3"
cp -a "$packages/lib/$python/site-packages/." "$root/$lib/site-packages/"
cp -a "$app/." "$root/app/"

# what runs in no service: installers, editors, tests, headers of the interpreter
(cd "$root/$lib" && rm -rf ensurepip idlelib tkinter turtledemo turtle.py pydoc_data test lib2to3 config-* \
  lib-dynload/*{_test,_xxtest,xxlimited,xxsubtype,_tkinter,_curses,readline}* site-packages/pip*)
find "$root/$lib/site-packages" -type d -name tests -prune -exec rm -rf {} +
find "$root/$lib/site-packages" -type f \( -name '*.pyi' -o -name '*.py[xd]' -o -name '*.[ch]' -o -name '*.cpp' -o -name '*.a' \) -delete
# large packages that only some services use
for package in numpy rapidfuzz; do
  grep -rqE "^\s*(import|from) $package\b" "$root/app" --include='*.py' || rm -rf "$root/$lib/site-packages/$package"{,.libs,-*}
done

# debug symbols are a fifth of the size and serve nobody here
find "$root/usr/local" -type f \( -name '*.so*' -o -path '*/bin/*' \) -exec strip --strip-unneeded {} + 2>/dev/null || true

# every C library that the interpreter or a package is linked to, at the path where it was found
find "$root/usr/local" -type f \( -name '*.so*' -o -path '*/bin/*' \) -print0 |
  xargs -0 ldd 2>/dev/null | sed -nE 's/^\t(.* => )?(\/[^ ]+) \(0x.*/\2/p' | sort -u |
  while read -r library; do
    [[ $library == "$root"* ]] || cp --parents -L "$library" "$root"
  done
strip --strip-unneeded "$root"/usr/local/lib/*.so*
echo /usr/local/lib >"$root/etc/ld.so.conf"
ldconfig -r "$root"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

printf 'root:x:0:0::/:/none\nbandung:x:10001:10001::/var/lib/bandung:/none\n' >"$root/etc/passwd"
printf 'root:x:0:\nbandung:x:10001:\n' >"$root/etc/group"
chmod 1777 "$root/tmp"
chown 10001:10001 "$root/var/lib/bandung" && chmod 0700 "$root/var/lib/bandung"
printf '#!/usr/local/bin/python\n"""The commands of this service."""\nimport runpy\n\nrunpy.run_module("services.%s", run_name="__main__", alter_sys=True)\n' \
  "$service" >"$root/usr/local/bin/bandung"
chmod 0755 "$root/usr/local/bin/bandung"
# the root is read-only where it runs, so all bytecode is made here
python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash "$root/app" "$root/$lib" >/dev/null || true
chroot "$root" /usr/local/bin/python -c "import ssl, ctypes, sqlite3, services.$service.app" 2>&1 ||
  { echo "the image of $service lacks something it imports" >&2; exit 1; }

#!/bin/sh
# Makes the Debian tree that the tests of this folder boot, once: a minute, and
# 260 MB. It needs root, debootstrap and a Debian mirror.
set -eu
tree=${SALLYPORT_TEST_TREE:-/var/cache/sallyport-test/debian-12}
if [ -e "$tree/etc/debian_version" ] && [ -e "$tree/usr/bin/curl" ]; then
  echo "$tree is there"
  exit 0
fi
mkdir -p "$(dirname "$tree")"
fresh=$tree.$$
trap 'rm -rf "$fresh" "$fresh.old"' EXIT
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,curl \
  bookworm "$fresh" "${SALLYPORT_DEBIAN_MIRROR:-http://deb.debian.org/debian}"
rm -rf "$fresh"/var/cache/apt/archives/*.deb
[ ! -e "$tree" ] || mv "$tree" "$fresh.old" # an earlier one, without all that is needed now
mv "$fresh" "$tree"

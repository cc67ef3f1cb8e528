#!/bin/sh
# Purged: the database and the keys go. (rpm knows no purge.) The account stays,
# so that no other one gets its number while files of it may be left.
set -e

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
[ "$1" = purge ] || exit 0
rm -rf /var/lib/sallyport

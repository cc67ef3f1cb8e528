#!/bin/sh
# Before the program goes: end the services that run by it. Their identities and
# configuration stay until the package is purged. An upgrade stops nothing.
set -e

case "$1" in
remove | 0) ;; # of dpkg and of rpm
*) exit 0 ;;
esac
command -v systemctl >/dev/null || exit 0
for unit in /etc/systemd/system/sallyport-agent.service /etc/systemd/system/sallyport-agent@*.service; do
    grep -qs '^ExecStart=/usr/bin/sallyport-agent ' "$unit" || continue
    name=${unit##*/}
    systemctl disable --now "$name" || true
    rm -f "$unit"
done
systemctl daemon-reload || true

#!/bin/sh
# Before the program goes: stop it. An upgrade lets it run until it is replaced.
set -e

case "$1" in
remove | 0) ;; # of dpkg and of rpm
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
    systemctl disable --now sallyport-relay.service || true
fi

#!/bin/sh
# The program was put in place or replaced: agents that run by it start anew.
# Those that were stopped stay so. A first installation has none.
set -e

[ -d /run/systemd/system ] || exit 0
for unit in /etc/systemd/system/sallyport-agent.service /etc/systemd/system/sallyport-agent@*.service; do
    if grep -qs '^ExecStart=/usr/bin/sallyport-agent ' "$unit"; then
        systemctl try-restart "${unit##*/}" || echo "sallyport-agent: ${unit##*/} was not restarted: see journalctl -u ${unit##*/}" >&2
    fi
done

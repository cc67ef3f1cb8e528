#!/bin/sh
# The program was put in place or replaced: agents that run by it start anew.
# Those that were stopped stay so. A first installation has none. One whose
# agent.yaml has become faulty would not start again: it goes on as it is.
set -e

[ -d /run/systemd/system ] || exit 0
for unit in /etc/systemd/system/sallyport-agent.service /etc/systemd/system/sallyport-agent@*.service; do
    grep -qs '^ExecStart=/usr/bin/sallyport-agent ' "$unit" || continue
    name=${unit##*/}
    config=$(sed -n 's/^ExecStart=.* --config \([^ ]*\).*/\1/p' "$unit")
    if [ -e "$config" ] && ! /usr/bin/sallyport-agent config check --config "$config" >&2; then
        echo "sallyport-agent: $name was not restarted, and still runs the earlier version: mend what is said above, then: systemctl restart $name" >&2
        continue
    fi
    systemctl try-restart "$name" || echo "sallyport-agent: $name was not restarted: see journalctl -u $name" >&2
done

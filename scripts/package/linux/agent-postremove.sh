#!/bin/sh
# Purged: forget the identities and the configuration, unless an agent that did
# not come from this package goes on using them. (rpm knows no purge.)
set -e

[ "$1" = purge ] || exit 0
for unit in /etc/systemd/system/sallyport-agent.service /etc/systemd/system/sallyport-agent@*.service; do
    if [ -e "$unit" ]; then
        echo "sallyport-agent: kept /etc/sallyport-agent* and /var/lib/sallyport-agent*: ${unit##*/} uses them" >&2
        exit 0
    fi
done
rm -rf /var/lib/sallyport-agent /var/lib/sallyport-agent-* /etc/sallyport-agent /etc/sallyport-agent-*
# Accounts of instances are called sallyport-agent-NAME.
cut -d: -f1 /etc/passwd | grep -E '^sallyport-agent(-[a-z0-9]+)?$' | while read -r account; do
    userdel "$account" || true
done

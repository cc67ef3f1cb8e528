#!/bin/sh
# The relay's account, and after an upgrade a restart of the relay that runs. It
# is not started by itself: it first has to be told its public address.
set -e

if ! getent passwd sallyport >/dev/null; then
    useradd --system --user-group --no-create-home --home-dir /var/lib/sallyport \
        --shell /usr/sbin/nologin --comment "Sallyport relay" sallyport
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
    systemctl try-restart sallyport-relay.service || echo "sallyport-relay was not restarted: see journalctl -u sallyport-relay" >&2
fi

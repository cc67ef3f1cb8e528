#!/bin/sh
# Installs the Sallyport agent on this machine, or upgrades it:
#
#   curl -fsSL RELAY/install.sh | sudo sh -s -- --code CODE
#
# It takes the agent's program from the relay that this script came from, checks
# its SHA-256 sum, and has it install itself: `sallyport-agent install`. Further
# options are handed on to that.
#
#   --relay URL        another relay than the one this script came from
#   --ca-file FILE     authorities to trust for the relay (PEM), besides the system's
#   --proxy URL        the proxy on the way to the relay
#   --download-only    only put the program into the current directory
#
# Nothing runs before the last line has arrived.

relay='https://relay.invalid'

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "install: $*"
    exit 1
}

# fetch URL FILE downloads with what there is. What it says when it fails is
# that program's own word.
fetch() {
    if [ -n "$curl" ]; then
        set -- --fail --silent --show-error --location --retry 2 --connect-timeout 20 --output "$2" "$1"
        [ -z "$ca_file" ] || set -- --cacert "$ca_file" "$@"
        case $proxy in
        '' | system | environment) ;;
        none) set -- --noproxy '*' "$@" ;;
        *) set -- --proxy "$proxy" "$@" ;;
        esac
        # Not even a redirect leads out of TLS.
        case $relay in https://*) set -- --proto =https "$@" ;; esac
        curl "$@"
    else
        set -- --no-verbose --tries=3 --timeout=20 --output-document="$2" "$1"
        [ -z "$ca_file" ] || set -- --ca-certificate="$ca_file" "$@"
        case $proxy in
        '' | system | environment) ;;
        none) set -- --no-proxy "$@" ;;
        *) set -- -e use_proxy=yes -e "http_proxy=$proxy" -e "https_proxy=$proxy" "$@" ;;
        esac
        wget "$@"
    fi
}

choose_tools() {
    curl=
    if command -v curl >/dev/null 2>&1; then
        curl=yes
    elif ! command -v wget >/dev/null 2>&1; then
        fail "neither curl nor wget is here: install one of them"
    elif wget --help 2>&1 | grep -q BusyBox; then
        # It does not check whose certificate it is shown, or not everywhere.
        fail "the wget of BusyBox can't be trusted with HTTPS: install curl"
    fi
    if command -v sha256sum >/dev/null 2>&1; then
        sum=sha256sum
    elif command -v shasum >/dev/null 2>&1; then
        sum='shasum -a 256'
    elif command -v openssl >/dev/null 2>&1; then
        sum='openssl dgst -sha256 -r'
    else
        fail "no program that makes SHA-256 sums is here: install coreutils or openssl"
    fi
}

# name_of_this_system is the name of the download for this machine.
name_of_this_system() {
    case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) fail "there is no agent for $(uname -s): only for Linux, macOS and, by install.ps1, Windows" ;;
    esac
    case $(uname -m) in
    x86_64 | amd64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "there is no agent for the processor $(uname -m): only for amd64 (x86_64) and arm64 (aarch64)" ;;
    esac
    name=sallyport-agent-$os-$arch
}

# make_place makes a directory that programs may be run from: on hardened
# machines /tmp is none.
make_place() {
    for base in "${TMPDIR:-/tmp}" /var/tmp /usr/local/bin; do
        dir=$(mktemp -d "$base/sallyport.XXXXXX" 2>/dev/null) || continue
        printf '#!/bin/sh\nexit 0\n' >"$dir/try"
        chmod 700 "$dir/try"
        if "$dir/try" 2>/dev/null; then
            return
        fi
        rm -rf "$dir"
    done
    dir=
    fail "no directory was found from which programs may be run: set TMPDIR to one"
}

download() {
    say "Downloading the agent from $relay"
    fetch "$relay/downloads/SHA256SUMS" "$dir/SHA256SUMS" ||
        fail "$relay/downloads/SHA256SUMS could not be fetched (see above). Can this machine reach the relay, has the relay downloads, and is a proxy needed (--proxy URL)?"
    want=$(sed -n "s/^\([0-9a-f]\{64\}\) [ *]$name\$/\1/p" "$dir/SHA256SUMS")
    [ -n "$want" ] || fail "the relay has no $name: $relay/downloads/ lists what it has"
    fetch "$relay/downloads/$name" "$dir/sallyport-agent" || fail "$relay/downloads/$name could not be fetched (see above)"
    got=$($sum "$dir/sallyport-agent" | cut -d ' ' -f 1)
    [ "$got" = "$want" ] ||
        fail "the download is damaged: its SHA-256 sum is $got, and the relay says $want. Something on the way may have changed it; nothing was installed"
    chmod 755 "$dir/sallyport-agent"
    version=$("$dir/sallyport-agent" version) || fail "the program does not run on this machine"
    say "Checked: $version"
}

main() {
    set -u
    ca_file='' proxy='' only='' dir=''
    # Each argument is looked at once, and all but our own are kept for the agent.
    left=$# before=''
    while [ "$left" -gt 0 ]; do
        argument=$1
        shift
        left=$((left - 1))
        case $before in
        --relay) relay=$argument ;;
        --ca-file) ca_file=$argument ;;
        --proxy) proxy=$argument ;;
        esac
        before=$argument
        case $argument in
        --relay=*) relay=${argument#*=} ;;
        --ca-file=*) ca_file=${argument#*=} ;;
        --proxy=*) proxy=${argument#*=} ;;
        --download-only)
            only=yes
            continue
            ;;
        --help)
            say "curl -fsSL $relay/install.sh | sudo sh -s -- --code CODE [--ca-file FILE] [--proxy URL] [--download-only] [options of sallyport-agent install]"
            exit 0
            ;;
        esac
        set -- "$@" "$argument"
    done
    relay=${relay%/}

    if [ -z "$only" ]; then
        [ "$(id -u)" = 0 ] || fail "this has to be run as root: put sudo before sh, as in: curl -fsSL $relay/install.sh | sudo sh -s -- --code CODE"
        if [ -e /usr/bin/sallyport-agent ]; then
            fail "the agent was installed here from a package (/usr/bin/sallyport-agent): upgrade that, or remove it first. To enrol, run: sallyport-agent install --relay $relay --code CODE"
        fi
    fi
    choose_tools
    name_of_this_system
    trap '[ -z "$dir" ] || rm -rf "$dir"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    make_place
    download
    if [ -n "$only" ]; then
        mv "$dir/sallyport-agent" ./sallyport-agent || fail "it could not be put into $PWD"
        say "It is in $PWD/sallyport-agent"
        exit 0
    fi
    # The program is piped in, so questions have to be asked of the terminal.
    if [ -t 2 ] && (: </dev/tty) 2>/dev/null; then
        "$dir/sallyport-agent" install --relay "$relay" "$@" </dev/tty
    else
        "$dir/sallyport-agent" install --relay "$relay" "$@" </dev/null
    fi
    exit $?
}

main "$@"

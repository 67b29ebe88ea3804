#!/bin/sh
# Install what the tests need besides Python: PostgreSQL's server programs, promtool, faketime, Chromium and Node.js. Nothing is done where they are there.
set -eu

# Run a command, and again after a while where it fails, as it does when the network has a bad moment.
again() {
    for pause in 5 15 45; do
        "$@" && return
        echo "failed, and tried again in $pause seconds: $*" >&2
        sleep "$pause"
    done
    "$@" || { echo "failed four times; is the package mirror within reach? $*" >&2; return 1; }
}

missing=""
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
command -v faketime >/dev/null 2>&1 || missing="$missing faketime"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v npm >/dev/null 2>&1 || missing="$missing nodejs npm"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing$missing"
        # The packages' own services are of no use here: the tests start servers of their own.
        trap '[ -z "${linked:-}" ] || rm -f /usr/sbin/policy-rc.d; rm -f /usr/sbin/policy-rc.d.placet' EXIT
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d.placet
        chmod +x /usr/sbin/policy-rc.d.placet
        [ -e /usr/sbin/policy-rc.d ] || { ln -s policy-rc.d.placet /usr/sbin/policy-rc.d; linked=1; }
        apt() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq "$@" >/dev/null; }
        again apt update
        # shellcheck disable=SC2086
        again apt install -y --no-install-recommends $missing
    else
        echo "the tests need$missing; install the package(s) and run make test again" >&2
        exit 1
    fi
fi

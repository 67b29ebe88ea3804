#!/bin/sh
# Install what the tests need besides Python: PostgreSQL's server programs, promtool and faketime. Nothing is done where they are there.
set -eu

missing=""
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
command -v faketime >/dev/null 2>&1 || missing="$missing faketime"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing$missing"
        apt-get update -qq
        # The packages' own services are of no use here: the tests start servers of their own.
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d.placet
        chmod +x /usr/sbin/policy-rc.d.placet
        [ -e /usr/sbin/policy-rc.d ] || { ln -s policy-rc.d.placet /usr/sbin/policy-rc.d; linked=1; }
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
        [ -z "${linked:-}" ] || rm -f /usr/sbin/policy-rc.d
        rm -f /usr/sbin/policy-rc.d.placet
    else
        echo "the tests need$missing; install the package(s) and run make test again" >&2
        exit 1
    fi
fi

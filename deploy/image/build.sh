#!/bin/sh
# Build deploy/Dockerfile without a daemon and without a registry of images: its base is made of Debian's packages, in
# place of python:3.11-slim. As root on Debian 12, with `apt-get install buildah debootstrap`:
#
#   deploy/image/build.sh placet.tar     # an OCI archive, for `skopeo copy` or `docker load`
#
# SUITE and MIRROR name the base (bookworm, of the mirror that this machine has), KEYS its keyring. The same base, sources and SOURCE_DATE_EPOCH make the same digest,
# which is printed. CERTIFICATES is a bundle for pip where a proxy has an authority of its own.
set -eu

out=$(realpath "$1")
cd "$(dirname "$0")/../.."
SUITE=${SUITE:-bookworm}
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $SUITE" | head -1)}
KEYS=${KEYS:-/usr/share/keyrings/debian-archive-keyring.gpg}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

with() { # buildah, with a store of its own that needs neither overlay nor a daemon
    action=$1; shift
    buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$action" "$@"
}

echo "the base: $SUITE of $MIRROR" >&2
debootstrap --variant=minbase --keyring="$KEYS" --include=ca-certificates,python3-venv,python-is-python3 \
    "$SUITE" "$work/base" "$MIRROR" >"$work/debootstrap.log" 2>&1 || { tail -20 "$work/debootstrap.log" >&2; exit 1; }
# What is of this machine or of this moment, and not of the packages.
rm -rf "$work/base/var/cache/apt" "$work/base/var/lib/apt/lists" "$work/base/var/cache/ldconfig" "$work/base/debootstrap"
find "$work/base/var/log" "$work/base/dev" "$work/base/proc" "$work/base/sys" "$work/base/run" "$work/base/tmp" -mindepth 1 -delete
rm -f "$work/base/etc/hostname" "$work/base/etc/resolv.conf" "$work/base/var/lib/dpkg/status-old"
: >"$work/base/etc/machine-id"

base=$(with from scratch)
with copy --quiet "$base" "$work/base" / >/dev/null
with commit --quiet --timestamp "$SOURCE_DATE_EPOCH" "$base" localhost/python:3.11 >/dev/null
rm -rf "$work/base"

echo "the image: Placet $version" >&2
with build-using-dockerfile --isolation chroot --pull-never --timestamp "$SOURCE_DATE_EPOCH" \
    --build-arg PYTHON=localhost/python:3.11 --ignorefile deploy/Dockerfile.dockerignore \
    --label org.opencontainers.image.version="$version" --label org.opencontainers.image.revision="$(git rev-parse HEAD)" \
    ${CERTIFICATES:+--volume "$CERTIFICATES:/etc/ssl/certs/ca-certificates.crt:ro"} \
    --file deploy/Dockerfile --tag "placet:$version" . >&2
with push --quiet --digestfile "$work/digest" "placet:$version" "oci-archive:$out:placet:$version" >&2
cat "$work/digest"
echo

#!/bin/sh
# What `make bench` compares with, and a Redis, from Debian's packages. Nothing happens
# where all of them are there already.
#
# The bench runs them itself, in the foreground and with its own configuration.
# Where installing a package started a service, that service is stopped again: it
# would hold ports that others want and take cycles from what is being measured.
set -eu

as_root=""
[ "$(id -u)" -eq 0 ] || as_root="sudo"

# stop_service NAME: end the service that installing NAME has just started.
stop_service() {
    if [ -d /run/systemd/system ]; then
        $as_root systemctl disable --now "$1" >/dev/null 2>&1 || true
    elif [ -x "/etc/init.d/$1" ]; then
        $as_root "/etc/init.d/$1" stop >/dev/null 2>&1 || true
    fi
}

PATH="$PATH:/usr/sbin:/usr/local/sbin"
packages=""
command -v nginx >/dev/null 2>&1 || packages="$packages nginx-light"
command -v haproxy >/dev/null 2>&1 || packages="$packages haproxy"
command -v redis-server >/dev/null 2>&1 || packages="$packages redis-server"
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "benches/setup.sh: please install$packages with this system's package manager," \
        "or leave them out: cargo bench --bench compare -- --only spafe,reference" >&2
    exit 1
fi

$as_root apt-get update -qq
# The names are split on purpose: one word each.
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages

case "$packages" in *nginx-light*) stop_service nginx ;; esac
case "$packages" in *haproxy*) stop_service haproxy ;; esac
case "$packages" in *redis-server*) stop_service redis-server ;; esac

#!/bin/sh
# Installs the Debian packages that are needed on top of Go, if any is missing:
#   install-deps.sh demo   what makes a guest
#   install-deps.sh test   besides, what builds its kernel, what go test -race needs,
#                          what image files are made and read with, what checks
#                          manual pages and packages, a browser, Prometheus, who is notified, and
#                          where backups are kept
#   install-deps.sh more   besides, the emulator
set -eu

packages="mmdebstrap kmod xz-utils util-linux make git"
case ${1-} in
demo) ;;
test | more)
	packages="$packages gcc libc6-dev flex bison bc binutils tgt libiscsi-bin qemu-utils mandoc chromium prometheus prometheus-alertmanager"
	packages="$packages lintian rpm systemd e2fsprogs restic rclone openssh-server"
	[ "$1" = test ] || packages="$packages qemu-system-x86 zstd"
	;;
*)
	echo "usage: $0 demo|test|more" >&2
	exit 2
	;;
esac
missing=
for package in $packages; do
	case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) in
	ii*) ;;
	*) missing="$missing $package" ;;
	esac
done

# The guest's packages come from the repositories that apt knows, and it knows
# them only once it has their lists.
if [ -z "$missing" ] && [ -n "$(apt-get indextargets 'Created-By: Packages')" ]; then
	exit 0
fi

sudo=
if [ "$(id -u)" -ne 0 ]; then
	sudo="sudo"
fi

$sudo apt-get update -qq
# Debian starts what it installs. This machine is not to become an iSCSI target, nor to
# monitor itself, listen for alerts or let anybody in: the tests start programs of their own.
services=
if [ -d /run/systemd/system ]; then
	for package in $missing; do
		case $package in
		tgt | prometheus | prometheus-alertmanager) services="$services $package.service" ;;
		openssh-server) services="$services ssh.service" ;;
		esac
	done
fi

if [ -n "$missing" ]; then
	echo "installing$missing"
	# shellcheck disable=SC2086 # words, and no words at all without sudo
	[ -z "$services" ] || $sudo systemctl --quiet --runtime mask $services
	# shellcheck disable=SC2086 # words, and no words at all without sudo
	$sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq -y --no-install-recommends $missing
	if [ -n "$services" ]; then
		# shellcheck disable=SC2086 # words
		$sudo systemctl --quiet disable $services
		# shellcheck disable=SC2086 # words
		$sudo systemctl --quiet --runtime unmask $services
	fi
fi

#!/bin/sh
# Runs the end-to-end specs on a real kernel, in throw-away guests: in User-mode Linux
# with the user spaces of Debian 12 and 13, and one short spec on the kernels of both in
# an emulator. What each stage took, and which specs took longest, is printed at the end.
#   test-guest.sh        as make test does
#   test-guest.sh more   all specs on every kernel and user space, in an emulator too
set -u
. "$(dirname "$0")/stages.sh"
export VOLRECONCILER_GUEST=1

# Guests' disks and memory belong in memory: what a power cut may lose is lost with the
# process, and a disk of the host would only be waited for.
if [ -z "${TMPDIR-}" ] && [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 8000000 ] 2>/dev/null; then
	TMPDIR=$(mktemp -d /dev/shm/volreconciler-test-XXXXXX)
	export TMPDIR
	trap 'rm -rf "$TMPDIR"' EXIT
fi
trap 'kill 0' INT TERM

# Guests wait most of the time, so that there may be more of them than processors. Each
# needs 2 GiB at most.
guests=$(($(nproc) * 3))
memory=$(awk '/^MemAvailable:/ { print int($2 / 3000000) }' /proc/meminfo)
[ "$guests" -le "$memory" ] || guests=$memory
[ "$guests" -ge 1 ] || guests=1

# What fails on a machine that is shared is tried once more, and named as flaky.
specs() { # NAME KERNEL SUITE GUESTS FLAGS...
	name=$1 kernel=$2 suite=$3 procs=$4
	shift 4
	stage "$name" env TIMES="$logs/$name.times" GUEST="$kernel" GUEST_SUITE="$suite" go tool ginkgo run --procs="$procs" --no-color \
		--timeout=4h --keep-going --flake-attempts=2 "$@" ./test/e2e
}

case ${1-} in
"")
	guest="go run ./test/guest/cmd/guest"
	# What is fetched and built is fetched and built before the clocks run.
	stage kernel $guest kernel
	for suite in bookworm trixie; do stage "user space of $suite" $guest root --suite $suite; done
	machine=$($guest which)
	[ "$machine" = uml ] || guests=2
	stage guest go test -count=1 ./test/guest/...
	stage packages go test -count=1 ./test/packages
	stage demo env DEMO_ONCE=1 go run ./test/demo
	for suite in bookworm trixie; do
		specs "$machine-$suite" $machine $suite "$guests" --label-filter='!bench && !soak && !smoke && !long'
	done
	specs smoke-6.1 6.1 bookworm 1 --label-filter=smoke
	specs smoke-6.12 6.12 trixie 1 --label-filter=smoke
	;;
more)
	specs uml-testing uml testing "$guests" --label-filter='!bench && !soak'
	for pair in 6.1:bookworm 6.12:trixie 6.1:trixie 6.12:bookworm; do
		specs "qemu-${pair%:*}-${pair#*:}" "${pair%:*}" "${pair#*:}" 2 --label-filter='!bench && !soak'
	done
	;;
esac

# The slowest specs, of all runs; then what failed, where one looks first.
echo "The slowest specs, in seconds:"
sed -n 's/^took //p' "$logs"/*.times | sort -rn | head -n 10
cat "$logs/stages"
grep -h '^flaky: ' "$logs"/*.times | sort
show_failed
rm -rf "$logs"
[ -z "$failed" ]

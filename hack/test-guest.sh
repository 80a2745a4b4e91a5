#!/bin/sh
# Runs the tests that need a guest: several guests at a time, because one leaves
# half of a small machine idle. What each printed is shown when it has ended. Ginkgo has
# a time limit of its own, of an hour.
set -u
export VOLRECONCILER_GUEST=1

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
trap 'kill 0' INT TERM

# The guest's root is made once, and the agent compiled, before the clocks run.
go run ./test/guest/cmd/guest root >/dev/null || exit 1

run() { # NAME COMMAND...
	name=$1
	shift
	"$@" >"$logs/$name" 2>&1
	echo $? >"$logs/$name.status"
	cat "$logs/$name"
}
test="go test -count=1 -timeout 65m -v"
{
	run e2e $test ./test/e2e -ginkgo.timeout=65m -ginkgo.no-color -ginkgo.label-filter='!bench && !long && !soak && !more'
} &
{
	run e2e-long $test ./test/e2e -ginkgo.timeout=65m -ginkgo.no-color -ginkgo.label-filter='!bench && long && !soak && !more'
	run guest $test ./test/guest/...
	run demo env DEMO_ONCE=1 go run ./test/demo
} &
wait

# What failed comes last, where one looks first.
for status in "$logs"/*.status; do
	[ "$(cat "$status")" = 0 ] && continue
	failed=1
	echo "FAILED: $(basename "$status" .status)"
	grep -A 25 -e '\[FAILED\]' -e '^panic:' -e '^FAIL' "${status%.status}" | tail -n 120
done
[ -z "${failed-}" ]

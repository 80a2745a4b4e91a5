#!/bin/sh
# Runs all tests: what needs the processors (lint, unit tests) beside what mostly waits
# (the guests). Says at the end what each stage took, and last what failed.
set -u
cd "$(dirname "$0")/.."
logs=$(mktemp -d)
trap 'kill 0' INT TERM

stage() { # NAME COMMAND...
	name=$1
	shift
	began=$(date +%s)
	if "$@" >"$logs/$name" 2>&1; then result=passed; else result=FAILED; fi
	printf '%-40s %s %5d s\n' "$name" "$result" $(($(date +%s) - began)) | tee -a "$logs/stages"
}
{
	stage lint hack/golangci-lint.sh run ./...
	stage unit make --no-print-directory test-fast
} &
fast=$!
hack/test-guest.sh
guests=$?
wait "$fast"

echo "Stages beside the guests:"
cat "$logs/stages"
grep -hE '^(ok|FAIL|crash points)|^--- FAIL' "$logs/unit"
for name in lint unit; do
	grep -q "^$name .*FAILED" "$logs/stages" || continue
	failed=1
	echo "FAILED: $name"
	grep -vE '^(ok|\?) ' "$logs/$name" | tail -n 120
done
rm -rf "$logs"
[ "$guests" = 0 ] && [ -z "${failed-}" ]

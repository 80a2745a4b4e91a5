#!/bin/sh
# Runs all tests, the quick ones first. Says at the end what each stage took, and last
# what failed.
set -u
cd "$(dirname "$0")/.."
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

failed=
stage() { # NAME COMMAND...
	name=$1
	shift
	began=$(date +%s)
	if "$@" >"$logs/$name" 2>&1; then result=passed; else result=FAILED failed="$failed $name"; fi
	printf '%-40s %s %5d s\n' "$name" "$result" $(($(date +%s) - began)) | tee -a "$logs/stages"
}
stage lint hack/golangci-lint.sh run ./...
stage unit make --no-print-directory test-fast
hack/test-guest.sh || failed="$failed guests"

echo "Before the guests:"
cat "$logs/stages"
grep -hE '^(ok|crash points)' "$logs/unit"
for name in $failed; do
	echo "FAILED: $name"
	[ ! -e "$logs/$name" ] || grep -vE '^(ok|\?) ' "$logs/$name" | tail -n 120
done
[ -z "$failed" ]

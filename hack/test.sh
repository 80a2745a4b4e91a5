#!/bin/sh
# Runs all tests, the quick ones first. Says at the end what each stage took, and last
# what failed.
set -u
cd "$(dirname "$0")/.."
. hack/stages.sh
trap 'rm -rf "$logs"' EXIT

stage lint hack/golangci-lint.sh run ./...
stage prose go run ./test/prose
stage unit make --no-print-directory test-fast
stage dashboard env BROWSER=required go test -count=1 ./test/dashboard
hack/test-guest.sh || failed="$failed guests"

echo "Before the guests:"
cat "$logs/stages"
grep -hE '^(ok|crash points)' "$logs/unit"
show_failed
[ -z "$failed" ]

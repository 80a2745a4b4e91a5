#!/bin/sh
# Lists Go files that gofmt would change, of those given or of all, and fails if there are any.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- cmd pkg test
unformatted=$(gofmt -l "$@")
[ -z "$unformatted" ] && exit
echo "$unformatted"
echo "run: gofmt -w" $unformatted >&2
exit 1

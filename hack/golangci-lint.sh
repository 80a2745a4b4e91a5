#!/bin/sh
# Runs golangci-lint in the version that test/tools pins, with the arguments
# given. The first run builds it, which takes some minutes.
set -eu

tools=$(cd "$(dirname "$0")/../test/tools" && pwd)
version=$(cd "$tools" && go list -m -f '{{.Version}}' github.com/golangci/golangci-lint/v2)
binary=${XDG_CACHE_HOME:-$HOME/.cache}/volreconciler/tools/golangci-lint-$version-$(go env GOVERSION)

if [ ! -x "$binary" ]; then
	echo "building golangci-lint $version, once: some minutes" >&2
	mkdir -p "$(dirname "$binary")"
	# Under another name first, so that an interrupted build leaves nothing
	# that looks finished.
	(cd "$tools" && CGO_ENABLED=0 nice go build -trimpath -o "$binary.$$" \
		github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
	mv "$binary.$$" "$binary"
fi
exec "$binary" "$@"

#!/bin/sh
# Runs a Go program in the version that a module below test/tools pins:
#   tool.sh DIR MODULE PACKAGE ARGUMENT...
# The first run builds it, which takes some minutes for a big one.
set -eu

dir=$(cd "$(dirname "$0")/../test/tools/$1" && pwd) module=$2 package=$2/$3
shift 3
name=${package##*/}
version=$(cd "$dir" && go list -m -f '{{.Version}}' "$module")
binary=${XDG_CACHE_HOME:-$HOME/.cache}/volreconciler/tools/$name-$version-$(go env GOVERSION)

if [ ! -x "$binary" ]; then
	echo "building $name $version, once: up to some minutes" >&2
	mkdir -p "$(dirname "$binary")"
	# Under another name first, so that an interrupted build leaves nothing
	# that looks finished.
	(cd "$dir" && GOOS='' GOARCH='' CGO_ENABLED=0 nice go build -trimpath -o "$binary.$$" "$package")
	mv "$binary.$$" "$binary"
fi
exec "$binary" "$@"

#!/bin/sh
# Runs every fuzz target for the time given, one after the other.
set -eu
time=${1:-1m}
grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9]+' pkg | sed 's/func //' | sort -u | while read -r target; do
	dir=$(grep -rlE --include='*_test.go' "^func $target\(" pkg | head -n 1)
	echo "== $target"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./${dir%/*}"
done

#!/bin/sh
# Runs every fuzz target for the time given, one after the other, and ends in one
# line of figures. What it finds is below testdata/fuzz of the package.
set -u
time=${1:-10m}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
targets=0 executions=0 crashers=0
for file in $(grep -rlE --include='*_test.go' '^func Fuzz' pkg | sort); do
	for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9]+).*/\1/p' "$file"); do
		echo "== $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x ${FUZZCORES:+-parallel "$FUZZCORES"} "./${file%/*}" | tee "$log"
		# That the time was over while an input ran is no finding.
		if grep -q 'Failing input written' "$log"; then crashers=$((crashers + 1)); fi
		n=$(sed -nE 's/.*execs: ([0-9]+).*/\1/p' "$log" | tail -n 1)
		executions=$((executions + ${n:-0}))
		targets=$((targets + 1))
	done
done
echo "fuzz targets=$targets executions=$executions crashers=$crashers"
[ "$crashers" = 0 ]

# For scripts that run stages one after the other: what each took, and what failed of it.
# To be sourced. It sets logs, a folder that the caller removes, and failed, a list of names.
logs=$(mktemp -d)
failed=

stage() { # NAME COMMAND...
	name=$1
	shift
	began=$(date +%s)
	if "$@" >"$logs/$name" 2>&1; then result=passed; else result=FAILED failed="$failed $name"; fi
	printf '%-40s %s %5d s\n' "$name" "$result" $(($(date +%s) - began)) | tee -a "$logs/stages"
}

# Of what failed, the places that say why, without the logs of passes; where there are
# none, its last words.
show_failed() {
	for name in $failed; do
		echo "FAILED: $name"
		[ -e "$logs/$name" ] || continue
		{ grep -A 40 -e 'DATA RACE' -e '\[FAILED\]' -e '\[TIMEDOUT\]' -e '\[PANICKED\]' -e '^panic:' -e '^--- FAIL' -e '^FAIL' -e '\.go:[0-9]*:[0-9]*: ' "$logs/$name" ||
			tail -n 60 "$logs/$name"; } |
			grep -v -e '"level":"debug"' -e '^ok' -e '^?' | cut -c 1-300 | head -n 200
	done
}

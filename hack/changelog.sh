#!/bin/sh
# Moves the fragments in changes/ and what is below "Unreleased" into a new section of CHANGELOG.md:
#
#   hack/changelog.sh VERSION [DATE]
#   hack/changelog.sh --check         only checks the fragments, and the headings below "Unreleased"
set -eu
cd "$(dirname "$0")/.."
kinds="added changed deprecated removed fixed security"
# What is not done yet has no fragments.
sections="$kinds not-yet"

# Names are checked first, so that nothing is changed where one is wrong.
wrong=
for file in changes/*; do
	name=${file#changes/}
	case $name in README.md | template.md | '*') continue ;; esac
	kind=${name%.md} kind=${kind##*.}
	case " $kinds " in
	*" $kind "*) ;;
	*) echo "$file: name it NAME.KIND.md; KIND is one of: $kinds" >&2 && wrong=1 ;;
	esac
	case ${name%."$kind".md} in
	"" | "$name" | *[!a-z0-9-]*) echo "$file: name it NAME.KIND.md; NAME is of a-z, 0-9 and -" >&2 && wrong=1 ;;
	esac
	grep -q '[^[:space:]]' "$file" || { echo "$file: it is empty" >&2 && wrong=1; }
	if grep -q '^[-#]' "$file"; then echo "$file: write neither a dash nor a heading" >&2 && wrong=1; fi
done
[ -z "$wrong" ] || exit 1

version=${1-} today=${2-$(date +%F)}
case $version in
--check | [0-9]*.[0-9]*.[0-9]*) ;;
*) echo "usage: hack/changelog.sh VERSION [DATE], as in: hack/changelog.sh 0.2.0" >&2 && exit 2 ;;
esac
if grep -qF "## $version " CHANGELOG.md; then echo "CHANGELOG.md has $version already" >&2 && exit 1; fi
grep -q '^## Unreleased$' CHANGELOG.md || { echo 'CHANGELOG.md has no line "## Unreleased"' >&2 && exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The parts of the changelog: what comes before and after the unreleased changes, and these by kind.
awk -v dir="$work" '
	BEGIN { part = "before" }
	part != "before" && part != "after" && /^## / { part = "after" }
	part != "before" && part != "after" && /^### / { part = "kind-" tolower($0); sub(/^kind-### /, "kind-", part); gsub(/ /, "-", part); next }
	{ print > (dir "/" part) }
	/^## Unreleased$/ { part = "intro" }
' CHANGELOG.md

for part in "$work"/kind-*; do
	[ -e "$part" ] || continue
	case " $sections " in
	*" ${part#"$work"/kind-} "*) ;;
	*) echo "CHANGELOG.md: below Unreleased is a kind of change that is none of: $sections" >&2 && exit 1 ;;
	esac
done
[ "$version" != --check ] || exit 0

# lines prints a file without the empty lines at its ends.
lines() { awk 'NF { for (; empty > 0; empty--) if (some) print ""; empty = 0; some = 1; print; next } { empty++ }' "$1"; }

{
	lines "$work/before"
	printf '\n## %s - %s\n' "$version" "$today"
	if [ -e "$work/intro" ] && grep -q . "$work/intro"; then echo && lines "$work/intro"; fi
	for kind in $sections; do
		{
			[ ! -e "$work/kind-$kind" ] || lines "$work/kind-$kind"
			for file in changes/*."$kind".md; do
				[ ! -e "$file" ] || lines "$file" | sed '1s/^/- /; 2,$s/^\(.\)/  \1/'
			done
		} > "$work/items"
		[ -s "$work/items" ] || continue
		printf '\n### %s%s\n\n' "$(printf %.1s "$kind" | tr a-z A-Z)" "$(printf %s "${kind#?}" | tr - ' ')"
		cat "$work/items"
	done
	if [ -e "$work/after" ]; then echo && lines "$work/after"; fi
} > "$work/new"
cat "$work/new" > CHANGELOG.md
for kind in $kinds; do rm -f changes/*."$kind".md; done

#!/bin/sh
# Makes a .deb and a .rpm of the working tree in bin/, or in the directory given:
#   packages.sh [DIR]
# GOARCH chooses the architecture, VERSION another version. What depends on the time comes from the
# last commit, or SOURCE_DATE_EPOCH, so that two builds of a commit are the same bytes.
set -eu
cd "$(dirname "$0")/.."
out=${1-bin}
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

# A tag v1.2.3 gives 1.2.3, four commits later 1.2.3+4.gabcdef0; without any tag, 0.0.0 with the date
# and the commit.
version() {
	if described=$(git describe --tags --match 'v[0-9]*' 2>/dev/null); then
		echo "${described#v}" | sed 's/-rc/~rc/; s/-\([0-9]*\)-\(g[0-9a-f]*\)$/+\1.\2/'
	else
		git log -1 --format='0.0.0~%cd.g%h' --date=format-local:%Y%m%d --abbrev=7
	fi
}

export TZ=UTC LC_ALL=C
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}" "${VERSION:=$(version)}"
GOARCH=${GOARCH:-$(go env GOARCH)} STAGE=$work/stage DATE=$(date -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)
export SOURCE_DATE_EPOCH GOARCH
common=$STAGE/common deb=$STAGE/deb rpm=$STAGE/rpm
doc=usr/share/doc/volreconciler

put() { # MODE SOURCE TARGET; the source - is standard input
	mkdir -p "$(dirname "$3")"
	if [ "$2" = - ]; then cat >"$3"; else cp "$2" "$3"; fi
	chmod "$1" "$3"
}

CGO_ENABLED=0 GOOS=linux go build -trimpath -buildvcs=true -ldflags "-s -w -X main.version=v$VERSION" \
	-o "$work/volreconciler" ./cmd/volreconciler
put 755 "$work/volreconciler" "$common/usr/sbin/volreconciler"
put 644 deploy/systemd/volreconciler.service "$common/usr/lib/systemd/system/volreconciler.service"

# What the program says of itself is said by one that runs here.
CGO_ENABLED=0 GOARCH='' go build -o "$work/here" ./cmd/volreconciler
"$work/here" completion bash | put 644 - "$common/usr/share/bash-completion/completions/volreconciler"
"$work/here" completion fish | put 644 - "$common/usr/share/fish/vendor_completions.d/volreconciler.fish"
"$work/here" completion zsh | put 644 - "$deb/usr/share/zsh/vendor-completions/_volreconciler"
"$work/here" completion zsh | put 644 - "$rpm/usr/share/zsh/site-functions/_volreconciler"

CGO_ENABLED=0 GOARCH='' go run -tags man ./cmd/volreconciler man "$work/man"
for page in "$work"/man/*.[1-8]; do
	gzip -9n <"$page" | put 644 - "$common/usr/share/man/man${page##*.}/${page##*/}.gz"
done

put 644 README.md "$common/$doc/README.md"
for spec in examples/specs/*.yaml; do put 644 "$spec" "$common/$doc/examples/${spec##*/}"; done
put 644 deploy/packages/copyright "$common/$doc/copyright"
# Everything that is linked in is under its own licence.
go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/volreconciler |
	sort -u >"$work/modules"
while read -r module version dir; do
	printf '\n==== %s %s\n\n' "$module" "$version"
	find "$dir" -maxdepth 1 \( -name 'LICENSE*' -o -name 'COPYING*' -o -name 'NOTICE*' \) | sort | grep . | xargs cat
done <"$work/modules" >"$work/licences"
gzip -9n <"$work/licences" | put 644 - "$common/$doc/modules.gz"
gzip -9n <CHANGELOG.md | put 644 - "$common/$doc/changelog.gz"
{
	printf 'volreconciler (%s-1) unstable; urgency=medium\n\n  * See changelog.gz.\n\n' "$VERSION"
	printf ' -- volreconciler developers <volreconciler@lists.example.org>  %s\n' "$(date -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n | put 644 - "$deb/$doc/changelog.Debian.gz"
put 644 deploy/packages/lintian-overrides "$deb/usr/share/lintian/overrides/volreconciler"

find "$STAGE" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
# nfpm itself puts variables into some fields only.
sed "s|\${STAGE}|$STAGE|; s|\${DATE}|$DATE|; s|\${VERSION}|$VERSION|; s|\${GOARCH}|$GOARCH|" deploy/packages/nfpm.yaml >"$work/nfpm.yaml"
for packager in deb rpm; do hack/nfpm.sh package --config "$work/nfpm.yaml" --packager $packager --target "$out" >&2; done

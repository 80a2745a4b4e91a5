#!/bin/bash
# Software: restic 0.14.0 (Debian 12) and 0.18.0 (Debian 13)
#
# restic asks "Is there a repository at the following location?" also when the server of a repository refuses the
# connection. In 0.14 the exit status is the same, 1, as where there is no repository. 0.18 has a status of its own for
# that, 10, but does not end where the server refuses the connection: it tries for minutes, and asks meanwhile. Whoever
# creates a repository where none is must not go by the question, nor by the exit status of old versions.
#
# Seen, of a server that does not listen (rest:http://127.0.0.1:9/) and of an empty directory:
#
#   0.14.0 unreachable: exit 1, asks
#   0.14.0 missing: exit 1, asks
#   0.18.0 unreachable: still running after 60 s, asks
#   0.18.0 missing: exit 10, asks
. "$(dirname "$0")/lib.sh"

# asked VERSION NAME REPOSITORY: how restic ends, and whether it asks.
asked() {
  local status=0
  inside bash -c "ip link set lo up; RESTIC_PASSWORD=x timeout 60 restic -q --no-cache -r $3 snapshots 2>&1" >"$work/output" || status=$?
  local how="exit $status"
  [ $status != 124 ] || how="still running after 60 s"
  if grep -q 'Is there a repository at the following location' "$work/output"; then
    echo "$1 $2: $how, asks"
  else
    echo "$1 $2: $how, does not ask"
  fi
}

for one in "bookworm 0.14.0 0.14.0-1+b5" "trixie 0.18.0 "; do
  read -r suite version package <<<"$one"
  unpack "$suite" "restic${package:+=$package}" bash coreutils iproute2 ca-certificates
  mkdir -p "$root/empty"
  [ "$(inside restic version | cut -d' ' -f2)" = "$version" ] || unknown "$suite no longer has restic $version"
  expected=$(sed -n "s/^#   \($version .*\)/\1/p" "$0")
  same "restic $version" "$(asked "$version" unreachable rest:http://127.0.0.1:9/; asked "$version" missing /empty)" "$expected"
done

#!/bin/bash
# Software: LVM 2.03.16 (Debian 12's lvm2 2.03.16-2) and 2.03.31 (Debian 13's lvm2 2.03.31-2)
#
# `--reportformat json` gives text that is not JSON if lvm.conf has settings for reports that people read:
# report/prefixes=1 (or --nameprefixes) ends each value with an apostrophe where the quotation mark belongs (2.03.16;
# 2.03.31 ignores the setting), and log/prefix is put before every line (both versions; the default is two spaces).
#
# Seen (the line of the only volume group, without spaces in front):
#
#   report/prefixes=1: {"vg_name":"vg'}          (2.03.31: {"vg_name":"vg"})
#   log/prefix="lvm:": lvm: {"vg_name":"vg"}
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

look() {
  guest <<'EOT'
vgcreate vg /dev/ubda >/dev/null
for setting in report/prefixes=1 'log/prefix="lvm:"'; do
  echo "$setting:" $(vgs --reportformat json -o vg_name --config "$setting" 2>&1 | grep vg_name)
done
EOT
}

unpack bookworm lvm2=2.03.16-2 bash coreutils mount kmod iproute2 grep
same "LVM 2.03.16-2: neither is JSON" "$(look)" "report/prefixes=1: {\"vg_name\":\"vg'}
log/prefix=\"lvm:\": lvm: {\"vg_name\":\"vg\"}"

unpack trixie lvm2=2.03.31-2 bash coreutils mount kmod iproute2 grep
same "LVM 2.03.31-2: with log/prefix it is not JSON" "$(look)" 'report/prefixes=1: {"vg_name":"vg"}
log/prefix="lvm:": lvm: {"vg_name":"vg"}'

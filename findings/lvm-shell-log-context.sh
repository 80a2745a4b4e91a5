#!/bin/bash
# Software: LVM 2.03.16 (Debian 12's lvm2 2.03.16-2) and 2.03.31 (Debian 13's lvm2 2.03.31-2)
#
# With log/report_command_log=1, the `lvm` shell reports for every line how it ended: an entry of log_type "status" and
# log_context "shell". After a vgchange or pvchange with a selection (-S), that entry has the log_context "processing",
# as those of parts of a command have; so have the entries of all later lines of that shell, whatever they are. Who
# looks for log_context=shell, as the manual page lvmreport(7) does, finds no status any more. Reports and lvchange with
# -S do not have that effect.
#
# Seen (the log_context and the log_ret_code of the last status of each line):
#
#   vgs -S vg_name=vg: shell 1
#   vgs no-such-group: shell 5
#   vgchange -S vg_name=vg --addtag x: processing 1
#   vgs -S vg_name=vg: processing 1
#   vgs no-such-group: processing 5
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

for release in "bookworm 2.03.16-2" "trixie 2.03.31-2"; do
  unpack "${release% *}" "lvm2=${release#* }" bash coreutils mount kmod iproute2 sed
  seen=$(guest <<'EOT'
vgcreate vg /dev/ubda >/dev/null
mkdir /tmp/lvm
cat >/tmp/lvm/lvm.conf <<'CONF'
log {
  report_command_log=1
  command_log_selection="log_type=status"
  command_log_sort="log_seq_num"
  command_log_cols="log_context,log_ret_code"
}
report { output_format="json" }
CONF
lines=("vgs -S vg_name=vg" "vgs no-such-group" "vgchange -S vg_name=vg --addtag x")
lines+=("${lines[@]:0:2}")
printf '%s\n' "${lines[@]}" | LVM_SYSTEM_DIR=/tmp/lvm lvm 2>/dev/null |
  sed -nE '/"log":/,/\]/{s/.*"log_context":"([a-z]*)", "log_ret_code":"([0-9]*)"\}$/\1 \2/p}' >/tmp/status
mapfile -t status </tmp/status
for i in "${!lines[@]}"; do echo "${lines[i]}: ${status[i]}"; done
EOT
  )
  same "LVM ${release#* }: the shell's log loses its context" "$seen" "vgs -S vg_name=vg: shell 1
vgs no-such-group: shell 5
vgchange -S vg_name=vg --addtag x: processing 1
vgs -S vg_name=vg: processing 1
vgs no-such-group: processing 5"
done

#!/bin/bash
# Software: LIO (target_core_pr) of Linux 7.2.7, as in Debian's user-mode-linux 7.2um1; initiator: sg_persist (Debian 12's sg3-utils 1.46-3)
#
# A LUN announces that it keeps registrations over a loss of power (APTPL), on every node. Without a directory `pr` below
# the target's dbroot (/var/target by default), which no package and not the kernel makes, REGISTER with APTPL ends in
# NOT READY. But the key is registered all the same, without APTPL: an initiator that takes the error for an answer
# is a registrant without knowing it, and not after the next loss of power.
#
# Seen:
#
#   without pr: status 2, Device not ready, keys 0x1, APTPL Bit Status: Disabled
#   with pr: status 0, keys 0x1, APTPL Bit Status: Activated
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

unpack bookworm bash coreutils mount kmod iproute2 sed grep sg3-utils=1.46-3
seen=$(guest <<'EOT'
for m in loop target_core_mod tcm_loop target_core_iblock sd_mod sg; do modprobe $m; done
target=/sys/kernel/config/target
truncate -s 16M /tmp/disk
losetup /dev/loop0 /tmp/disk
disk=$target/core/iblock_0/disk
mkdir -p $disk
echo udev_path=/dev/loop0 >$disk/control
echo 1 >$disk/enable
group=$target/loopback/naa.6001405000000001/tpgt_1
mkdir -p $group/lun/lun_0
echo naa.6001405000000002 >$group/nexus
ln -s $disk $group/lun/lun_0/disk
for i in $(seq 50); do [ -e /sys/class/scsi_generic/sg0 ] && break; sleep 0.1; done
[ -e /dev/sg0 ] || mknod /dev/sg0 c 21 0
register() {
  local status=0
  said=$(sg_persist --out --register-ignore --param-sark=0x1 --param-aptpl /dev/sg0 2>&1) || status=$?
  said=$(grep -o 'Device not ready' <<<"$said" | head -n 1 || true)
  echo "$1: status $status,${said:+ $said,} keys $(sg_persist --in --read-keys /dev/sg0 | grep -o '0x[0-9a-f]*$' | tail -n 1), $(cat $disk/pr/res_aptpl_active)"
}
register "without pr"
sg_persist --out --clear --param-rk=0x1 /dev/sg0 >/dev/null 2>&1
mkdir -p "$(cat $target/dbroot)/pr"
register "with pr"
EOT
)
same "REGISTER with APTPL fails, and registers" "$seen" "without pr: status 2, Device not ready, keys 0x1, APTPL Bit Status: Disabled
with pr: status 0, keys 0x1, APTPL Bit Status: Activated"

#!/bin/bash
# Prints every attribute of LIO and nvmet that this kernel has, with its value, and the targets of device-mapper.
# For a throw-away guest with an empty disk (as root: it makes a volume group on it):
#
#   go run ./test/guest/cmd/guest run --kernel 6.12 --share docs --disk 4G -- bash /host/kernels.sh > 6.12.txt
#
# What docs/kernels.md says was found with diff between the outputs of several kernels.
set -u
disk=$(lsblk -dnb -o NAME,SIZE | awk '$2 == 4 * 2^30 {print "/dev/" $1}' | head -1)
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
modprobe -qa dm-thin-pool dm-snapshot dm-raid dm-mirror dm-cache dm-crypt dm-writecache \
	target_core_mod iscsi_target_mod target_core_iblock nvmet nvmet-tcp
{
	vgcreate -q vg0 "$disk"
	lvcreate -q -y --type thin-pool -L 1g --poolmetadatasize 64m -c 64k -Zy -n pool vg0
	for name in thin nvme; do lvcreate -q -y -V 1g -T vg0/pool -n $name; done
	lvcreate -q -y -L 1g -n thick vg0
} > /dev/null 2>&1

cd /sys/kernel/config || exit
for name in thin thick; do
	store=target/core/iblock_0/$name
	mkdir -p $store
	printf 'udev_path=/dev/vg0/%s' $name > $store/control
	printf 1234 > $store/wwn/vpd_unit_serial
	echo 1 > $store/enable
done
echo 1 > target/core/iblock_0/thin/attrib/emulate_tpu
tpg=target/iscsi/iqn.2026-11.test:x/tpgt_1
acl=$tpg/acls/iqn.2026-11.test:host
mkdir -p target/iscsi
mkdir -p $tpg/np/127.0.0.1:3260 $tpg/lun/lun_0 $acl/lun_0
ln -s target/core/iblock_0/thin $tpg/lun/lun_0/store
ln -s $tpg/lun/lun_0 $acl/lun_0/lun
echo 1 > $tpg/enable
subsystem=nvmet/subsystems/nqn.x
port=nvmet/ports/1
mkdir -p $subsystem/namespaces/1 $port nvmet/hosts/nqn.host
printf /dev/vg0/nvme > $subsystem/namespaces/1/device_path
echo 1 > $subsystem/namespaces/1/enable
ln -s nvmet/hosts/nqn.host $subsystem/allowed_hosts/nqn.host
for value in trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420; do echo ${value#*=} > $port/addr_${value%=*}; done
ln -s $subsystem $port/subsystems/nqn.x

find target nvmet -type f ! -path '*statistics*' | sort | while read -r file; do
	printf '%s = %s\n' "$file" "$(tr -d '\0' 2> /dev/null < "$file" | tr '\n' '|')"
done
dmsetup targets | sort
dmsetup version
for name in thin thick; do
	device=$(basename "$(readlink -f /dev/vg0/$name)")
	grep . "/sys/block/$device"/queue/{discard,write,atomic}_* 2> /dev/null | sed "s#^.*/queue/#$name: #"
done

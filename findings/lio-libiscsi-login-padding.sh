#!/bin/bash
# Software: LIO (target_core_mod, iscsi_target_mod) of Linux 7.2.7, as in Debian's user-mode-linux 7.2um1;
#           libiscsi 1.19.0 (iscsi-inq of Debian 12's libiscsi-bin 1.19.0-3; QEMU's iscsi:// uses the same library)
#
# LIO builds all answers of a login in one buffer that it does not clear, and pads each to a multiple of four bytes with
# what an earlier answer left there. libiscsi reads the padding as if it were keys, and gives up when it finds no NUL.
# The lengths of names therefore decide whether a login works:
#
# * One-way CHAP, TargetAlias of 13 bytes: the first ten logins work. All later ones fail, since the number of the
#   challenge then has two digits, and its answer needs padding, which is a part of the alias. With 12 bytes all work.
# * Mutual CHAP, alias as the kernel has it: the target's user name may have 2, 6, or 10 and more bytes. With 1, 3, 4 or
#   5 no login works, with 7, 8 or 9 only the first ten.
#
# Seen ("+" is a login that works; the error does not speak of the answer):
#
#   alias of 12 bytes: ++++++++++++
#   alias of 13 bytes: ++++++++++--
#   user of 5 bytes: ------------
#   user of 6 bytes: ++++++++++++
#   user of 9 bytes: ++++++++++--
#   user of 10 bytes: ++++++++++++
#   Login Failed. iscsi_service failed with : iscsi_service_reconnect_if_loggedin. Can not reconnect right now.
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

unpack bookworm libiscsi-bin=1.19.0-3 bash coreutils mount kmod iproute2
seen=$(guest <<'EOT'
disk=/sys/kernel/config/target/core/fileio_0/disk me=iqn.2003-01.org.example:initiator
mkdir -p $disk
truncate -s 16M /tmp/disk
echo fd_dev_name=/tmp/disk,fd_dev_size=16777216 >$disk/control
echo 1 >$disk/enable

target() { # IQN: export the disk to $me, which has to authenticate
  group=/sys/kernel/config/target/iscsi/$1/tpgt_1 auth=/sys/kernel/config/target/iscsi/$1/tpgt_1/acls/$me/auth
  mkdir -p $group/np/127.0.0.1:3260 $group/lun/lun_0 $group/acls/$me/lun_0
  ln -s $disk $group/lun/lun_0/disk
  ln -s $group/lun/lun_0 $group/acls/$me/lun_0/lun
  printf user >$auth/userid
  printf secretsecret >$auth/password
  echo 1 >$group/attrib/authentication
  echo 1 >$group/enable
}
logins() { # URL
  for try in {1..12}; do
    if iscsi-inq -i $me "$1" >/tmp/answer 2>&1; then printf +; else printf -- -; cp /tmp/answer /tmp/error; fi
  done
  echo
}
text=nnnnnnnnnnnnnnnn
for length in 12 13; do
  iqn=iqn.2003-01.org.example:alias$length
  target $iqn
  printf %s ${text:0:length} >$group/param/TargetAlias
  printf "alias of $length bytes: "
  logins "iscsi://user%secretsecret@127.0.0.1/$iqn/0"
done
for length in 5 6 9 10; do
  iqn=iqn.2003-01.org.example:user$length
  target $iqn
  printf %s ${text:0:length} >$auth/userid_mutual
  printf othersecret12 >$auth/password_mutual
  printf "user of $length bytes: "
  logins "iscsi://user%secretsecret@127.0.0.1/$iqn/0?target_user=${text:0:length}&target_password=othersecret12"
done
cat /tmp/error
EOT
)
same "whether a login works depends on the lengths of names" "$seen" "alias of 12 bytes: ++++++++++++
alias of 13 bytes: ++++++++++--
user of 5 bytes: ------------
user of 6 bytes: ++++++++++++
user of 9 bytes: ++++++++++--
user of 10 bytes: ++++++++++++
Login Failed. iscsi_service failed with : iscsi_service_reconnect_if_loggedin. Can not reconnect right now."

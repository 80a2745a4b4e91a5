#!/bin/bash
# Restores a backup of volreconciler without volreconciler:
#   RESTIC_REPOSITORY=… RESTIC_PASSWORD_FILE=… restore-with-restic.sh SNAPSHOT DEVICE
# DEVICE is a new thin volume or an empty file: all that is not written must read as zeroes.
set -euo pipefail
snapshot=$1
export device=$2
restic dump "$snapshot" /volume/times | head -n 3 # the format, and the size that DEVICE must have at least
# shellcheck disable=SC2016 # tar runs it for each file
restic dump "$snapshot" / | tar --extract --to-command='case $TAR_FILENAME in
*volume/*) cat >/dev/null ;; # describes the slices
*) dd of="$device" bs=1M iflag=fullblock oflag=seek_bytes seek=$((0x${TAR_FILENAME##*/})) conv=notrunc,sparse status=none ;;
esac'
sync "$device"

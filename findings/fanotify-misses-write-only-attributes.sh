#!/bin/bash
# Software: fanotify and LIO's configfs of Linux 7.2.7, as in Debian's user-mode-linux 7.2um1 (the same on Debian's 6.1 and 6.12)
#
# fanotify can watch all of configfs for writes (FAN_MARK_FILESYSTEM), and names the process that wrote. But the kernel
# opens each written file for the reader of the group, and an attribute that can only be written, such as `control` of a
# backstore, cannot be opened for reading: read(2) of the group fails with EACCES, and the event is lost. The next read
# works. A watcher that takes the error for the end goes blind; one that continues does not learn what was written.
#
# Seen:
#
#   alias: alias
#   control: EACCES
#   alias, after that: alias
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

unpack trixie bash coreutils mount kmod iproute2 python3-minimal libpython3-stdlib
seen=$(guest <<'EOT'
python3 - <<'PY'
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
MODIFY, NONBLOCK, ADD, FILESYSTEM, AT_FDCWD = 0x2, 0x2, 0x1, 0x100, -100
store = '/sys/kernel/config/target/core/iblock_0/disk'
os.makedirs(store)
group = libc.fanotify_init(NONBLOCK, os.O_RDONLY)
assert libc.fanotify_mark(group, ADD | FILESYSTEM, ctypes.c_uint64(MODIFY), AT_FDCWD, b'/sys/kernel/config') == 0
def written(attribute, value):
    with open(store + '/' + attribute, 'w') as f:
        f.write(value)
    try:
        event = os.read(group, 4096)
    except PermissionError:
        return 'EACCES'
    fd = struct.unpack('=IBBHQii', event[:24])[5]
    return os.path.basename(os.readlink('/proc/self/fd/%d' % fd))
print('alias:', written('alias', 'a'))
print('control:', written('control', 'udev_path=/dev/none'))
print('alias, after that:', written('alias', 'b'))
PY
EOT
)
same "fanotify loses writes of attributes that cannot be read" "$seen" "alias: alias
control: EACCES
alias, after that: alias"

#!/bin/busybox sh
# The first process: the usual file systems, modules' interface, a shell on the console.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ PS1='guest# '
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o size=100% tmpfs /tmp
setsid cttyhack sh
poweroff -f

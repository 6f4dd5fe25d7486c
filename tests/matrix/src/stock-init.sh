#!/bin/busybox sh
# The first process of the stock Linux guest: says where it is, uses memory, and goes off.
PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t tmpfs -o size=100% tmpfs /tmp
echo "stock: init on $(busybox uname -r)"
busybox dmesg | busybox grep -E 'Hypervisor detected|Memory Encryption Features|tdx: Guest|Isolation Config' |
    busybox sed 's/^[^]]*\] /stock: dmesg /'
echo "stock: clock $(busybox cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
mib=$(busybox awk '/MemTotal/ { print int($2 * 6 / 10 / 1024) }' /proc/meminfo)
# Not zeros: every page is written, and what is read back is what was written.
written=0
while [ "$written" -lt "$((mib * 1048576))" ]; do
    busybox cat /bin/busybox
    written=$((written + $(busybox stat -c %s /bin/busybox)))
done >/tmp/bytes
busybox tail -c "$(busybox stat -c %s /bin/busybox)" /tmp/bytes | busybox cmp - /bin/busybox &&
    echo "stock: touched $mib MiB"
busybox rm /tmp/bytes
busybox sleep 1
echo "stock: slept"
busybox poweroff -f

#!/busybox sh
# The initramfs: find the shared root over 9p, lay a throw-away layer on it, and go there.
box=/busybox
$box mkdir -p /proc /sys /dev /shared /layer /root.new
$box mount -t proc none /proc
$box mount -t sysfs none /sys
$box mount -t devtmpfs none /dev
while read -r name; do $box insmod "/$name.ko"; done </modules
$box mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose root /shared
$box mount -t tmpfs none /layer
$box mkdir /layer/changes /layer/work
$box mount -t overlay -o lowerdir=/shared,upperdir=/layer/changes,workdir=/layer/work none /root.new
for part in proc sys dev; do $box mount --move "/$part" "/root.new/$part"; done
$box cp /agent /root.new/agent
exec $box switch_root /root.new /bin/bash /agent

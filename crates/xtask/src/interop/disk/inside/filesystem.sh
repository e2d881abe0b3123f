# ext4: made, filled, unmounted, trimmed, checked, mounted again.
attach
mkfs.ext4 -q -F "$DEV"
mkdir -p volume
mount "$DEV" volume
mkdir volume/some volume/some/depth
for size in 1 4095 65537 3000000; do head -c $size /dev/urandom >"volume/some/depth/$size"; done
cp -r /usr/share/nvme-cli volume/ 2>/dev/null || cp /bin/bash volume/
(cd volume && find . -type f -exec sha256sum {} +) | sort >sums
rm volume/some/depth/3000000
fstrim volume || fail "the volume takes no discards"
umount volume
leave
attach
fsck.ext4 -fn "$DEV" || fail "the file system is damaged"
mount "$DEV" volume
(cd volume && find . -type f -exec sha256sum {} +) | sort >again
umount volume
grep -v /3000000 sums | cmp - again || fail "files differ after mounting again"

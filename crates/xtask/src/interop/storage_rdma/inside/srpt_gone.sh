# The kernel's SRP target port, called by the device's GID, takes nobody for PAUSE seconds: its channels end.
gid=$(cat /sys/class/infiniband/rxe0/ports/1/gids/0)
name=${gid#fe80:0000:0000:0000:}
cd "/sys/kernel/config/target/srpt/$name/$name"
echo 0 >enable
sleep "$PAUSE"
echo 1 >enable

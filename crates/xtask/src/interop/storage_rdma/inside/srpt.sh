# LIO's unit over SRP: 64 MiB of RAM as unit 0. The kernel calls its port by the device's GID, and looks a login by the RDMA
# connection manager up under the address that it came in at.
modprobe ib_srpt
cd /sys/kernel/config/target
gid=$(cat /sys/class/infiniband/rxe0/ports/1/gids/0)
name=${gid#fe80:0000:0000:0000:}
mkdir -p srpt
printf "$PORT" >srpt/discovery_auth/rdma_cm_port
mkdir -p "srpt/$name/$name/lun/lun_0"
cd "srpt/$name/$name"
ln -s /sys/kernel/config/target/core/iblock_0/ram lun/lun_0/
mkdir -p "acls/$ADDRESS/lun_0"
ln -s "$PWD/lun/lun_0" "acls/$ADDRESS/lun_0/"
echo 1 >enable

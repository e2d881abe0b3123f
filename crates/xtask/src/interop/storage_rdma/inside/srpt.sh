# LIO's unit over SRP: 64 MiB of RAM as unit 0. The kernel calls its port by the device's GID. It looks a login by the RDMA
# connection manager up under the address that it came in at, and one by InfiniBand's own under half of the initiator's GID,
# which is of its address.
modprobe ib_srpt
cd /sys/kernel/config/target
gid=$(cat /sys/class/infiniband/rxe0/ports/1/gids/0)
name=${gid#fe80:0000:0000:0000:}
mkdir -p srpt
printf "$PORT" >srpt/discovery_auth/rdma_cm_port
mkdir -p "srpt/$name/$name/lun/lun_0"
cd "srpt/$name/$name"
ln -s /sys/kernel/config/target/core/iblock_0/ram lun/lun_0/
for initiator in "$ADDRESS" "$(printf '0000:ffff:%02x%02x:%02x%02x' ${INITIATOR//./ })"; do
    mkdir -p "acls/$initiator/lun_0"
    ln -s "$PWD/lun/lun_0" "acls/$initiator/lun_0/"
done
echo 1 >enable
echo "service $(cat /sys/module/ib_srpt/parameters/srpt_service_guid)"

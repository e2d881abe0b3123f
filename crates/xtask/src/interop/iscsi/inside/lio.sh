# The kernel's own target: 64 MiB of RAM as unit 0.
modprobe -a target_core_mod target_core_iblock iscsi_target_mod
modprobe brd rd_nr=1 rd_size=65536
cd /sys/kernel/config/target
mkdir -p core/iblock_0/ram
printf udev_path=/dev/ram0 >core/iblock_0/ram/control
printf weft-interop >core/iblock_0/ram/wwn/vpd_unit_serial
echo 1 >core/iblock_0/ram/enable
mkdir -p "iscsi/$IQN/tpgt_1/lun/lun_0"
cd "iscsi/$IQN/tpgt_1"
ln -s /sys/kernel/config/target/core/iblock_0/ram lun/lun_0/
echo 0 >attrib/authentication
echo 1 >attrib/generate_node_acls
echo 1 >attrib/cache_dynamic_acls
echo 0 >attrib/demo_mode_write_protect
mkdir "np/$ADDRESS:$PORT"
echo 1 >enable

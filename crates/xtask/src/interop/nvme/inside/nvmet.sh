# The kernel's own target: 64 MiB of RAM as namespace 1.
modprobe -a nvmet nvmet-tcp
modprobe brd rd_nr=1 rd_size=65536
cd /sys/kernel/config/nvmet
mkdir "subsystems/$NQN"
echo 1 >"subsystems/$NQN/attr_allow_any_host"
mkdir "subsystems/$NQN/namespaces/1"
printf /dev/ram0 >"subsystems/$NQN/namespaces/1/device_path"
echo 1 >"subsystems/$NQN/namespaces/1/enable"
mkdir ports/1
for pair in trtype=tcp adrfam=ipv4 "traddr=$ADDRESS" "trsvcid=$PORT"; do
    printf %s "${pair#*=}" >"ports/1/addr_${pair%%=*}"
done
ln -s "/sys/kernel/config/nvmet/subsystems/$NQN" ports/1/subsystems/

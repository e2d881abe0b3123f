# The kernel's own target: 64 MiB of RAM as namespace 1, reached by TRANSPORT.
modprobe -a nvmet "nvmet-$TRANSPORT"
modprobe brd rd_nr=1 rd_size=65536
cd /sys/kernel/config/nvmet
if [ ! -d "subsystems/$NQN" ]; then
    mkdir "subsystems/$NQN"
    echo 1 >"subsystems/$NQN/attr_allow_any_host"
    mkdir "subsystems/$NQN/namespaces/1"
    printf /dev/ram0 >"subsystems/$NQN/namespaces/1/device_path"
    echo 1 >"subsystems/$NQN/namespaces/1/enable"
fi
place=ports/$(($(ls ports | wc -l) + 1))
mkdir "$place"
for pair in "trtype=$TRANSPORT" adrfam=ipv4 "traddr=$ADDRESS" "trsvcid=$PORT"; do
    printf %s "${pair#*=}" >"$place/addr_${pair%%=*}"
done
ln -s "/sys/kernel/config/nvmet/subsystems/$NQN" "$place/subsystems/"

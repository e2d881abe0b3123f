# LIO does not serve its target node for PAUSE seconds: its sessions end.
cd "/sys/kernel/config/target/iscsi/$IQN/tpgt_1"
echo 0 >enable
sleep "$PAUSE"
echo 1 >enable

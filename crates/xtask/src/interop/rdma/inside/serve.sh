# Starts COMMAND, which serves one client, and waits until it does. The next script asks how it ended.
rm -f server.*
cat >server.sh <<END
$COMMAND >server.out 2>&1
echo \$? >server.status
END
setsid bash server.sh </dev/null >/dev/null 2>&1 &
case $COMMAND in
    ibv_*) wait_for 'grep -q ":4853 .* 0A " /proc/net/tcp /proc/net/tcp6' ;;
    mckey*) wait_for 'grep -q joined server.out || ip maddress show dev eth0 | grep -q 239.7.7.7' ;;
    *) wait_for 'rdma resource show cm_id | grep -q LISTEN' ;;
esac

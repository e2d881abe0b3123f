# libiscsi's programs over iSER. Its iscsi-ls takes no such URL, and its conformance suite does not get past its second login,
# where the library fails before it sends anything, with LIO as with us.
modprobe -a rdma_ucm ib_uverbs
URL=iser://$ADDRESS:$PORT/$IQN/0
iscsi-inq "$URL" >said || fail "$(cat said)"
grep -q DIRECT_ACCESS said || fail "no disk: $(cat said)"
for page in 0 128 131 176 177 178; do iscsi-inq -e 1 -c $page "$URL" >said || fail "page $page: $(cat said)"; done
iscsi-readcapacity16 "$URL" >said || fail "$(cat said)"
grep -q 67108864 said || fail "its 64 MiB are not in: $(cat said)"
for blocks in 1 8 256; do iscsi-perf -m 8 -b $blocks -t 1 -r "$URL" >said || fail "reads of $blocks blocks: $(cat said)"; done

# The unit's new size and the new unit are seen after the rescans that administrators type.
trap - EXIT
dmesg | grep -qi 'capacity data has changed\|LUN assignments.*changed\|Inquiry data has changed' ||
    { dd if=/dev/$(units 0) of=/dev/null bs=512 count=1 iflag=direct status=none
      dmesg | grep -qi 'capacity data has changed\|REPORTED LUNS\|LUN assignments' || fail "no unit attention: $(dmesg | tail)"; }
iscsiadm -m node -T "$IQN" -R
wait_for "[ \$(blockdev --getsize64 /dev/\$(units 0)) = $((96 << 20)) ]"
wait_for '[ -n "$(units 1)" ]'
dd if=/dev/$(units 1) of=/dev/null bs=1M count=1 iflag=direct status=none

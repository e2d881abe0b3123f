# What a target says unasked, and whom it lets in. Set before it: STEP.
trap - EXIT
heard() { wait_for "dmesg | grep -q '$1'"; }
case $STEP in
in) login ,ch_count=2 ;;
changed)
    heard 'ignoring AER for LUN'
    dd if="/dev/$(units 0 | sed -n 1p)" of=/dev/null bs=64k count=4 iflag=direct status=none
    ;;
ended)
    heard 'target logout request'
    leave
    ;;
refused)
    modprobe -r ib_srp
    modprobe ib_srp
    dmesg -C
    line="id_ext=$TARGET,ioc_guid=$TARGET,dest=$ADDRESS:$PORT"
    ! echo "$line" >/sys/class/infiniband_srp/srp-rxe0-1/add_target 2>/dev/null || fail "who is not named was let in"
    # Unable to associate the channel with the nexus.
    dmesg | grep -qi 'rejected, reason 0x00010003' || fail "the reason is not told: $(dmesg | tail -5)"
    ;;
again)
    login
    leave
    ;;
esac

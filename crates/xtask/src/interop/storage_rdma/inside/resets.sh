# Several units, and resets of one and of all of them. A unit that was reset says so with its next command.
told() { # NUMBER of a unit: how often it has said so
    dmesg | grep -c ":$1: Power-on or device reset occurred" || true
}
try() { # what is reset, and for each unit whether it must tell
    local before=("$(told 0)" "$(told 1)") number
    "$1" || fail "no reset: $1"
    for number in 0 1; do
        dd if="/dev/$(units $number)" bs=64k count=16 iflag=direct status=none | cmp - sent
        [ $(($(told $number) > before[number])) = "${2:number:1}" ] || fail "$1: unit $number: $(dmesg | tail -5)"
    done
}
reset_unit() { sg_reset -d "$DEV"; }
login
wait_for '[ -n "$(units 1)" ]'
sg_luns "$DEV" | grep -q 'Lun list length = 16' || fail "not two units: $(sg_luns "$DEV")"
dd if=/dev/urandom of=sent bs=1M count=1 status=none
for number in 0 1; do dd if=sent of="/dev/$(units $number)" bs=64k oflag=direct status=none; done
try reset_unit 10
try reset_all 11
leave

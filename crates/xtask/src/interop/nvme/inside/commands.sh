# Each command by itself, through nvme-cli. EXPECT=all: the controller must support all that is tried.
connect
CONTROL=/dev/$(controllers)
BLOCK=$(blockdev --getss "$DEV")
BLOCKS=$((4096 / BLOCK)) # in 4 KiB, the size used below
LAST=$((BLOCKS - 1))     # commands count blocks from 0

value() { # NAME FILE: what nvme-cli printed for it
    awk -F: -v name="$1" '{ gsub(/[ \t]/, "", $1); gsub(/[ \t]/, "", $2) } $1 == name { print $2; exit }' "$2"
}
supported() { # BIT of ONCS
    if (((oncs >> $1) & 1)); then return 0; fi
    [ "$EXPECT" != all ] || fail "ONCS lacks bit $1"
    return 1
}
refused() { # STATUS COMMAND...: the command must end with this status, as nvme-cli prints it
    local want=$1 said
    shift
    if said=$("$@" 2>&1); then fail "$* should have been refused"; fi
    grep -qi "$want" <<<"$said" || fail "$* was refused with: $said"
}
same() { # SLBA FILE: the 4 KiB there are the file's
    nvme read "$DEV" -s "$1" -c $LAST -z 4096 -d there >/dev/null
    cmp -n 4096 there "$2" || fail "block $1 is not $2"
}

nvme id-ctrl "$CONTROL" >controller
[ "$(value sqes controller)" = 0x66 ] && [ "$(value cqes controller)" = 0x44 ] || fail "queue entry sizes"
[ "$(value ioccsz controller)" -ge 4 ] && [ "$(value iorcsz controller)" -eq 1 ] || fail "capsule sizes"
grep -Eq "^subnqn +: $NQN\$" controller || fail "the subsystem's name"
oncs=$(($(value oncs controller)))
nvme id-ns "$DEV" >namespace
[ $(($(value nsze namespace) * BLOCK)) = "$(blockdev --getsize64 "$DEV")" ] || fail "the namespace's size"
nvme list | grep -q "$DEV" || fail "nvme list does not show it"
nvme list-ns "$CONTROL" | grep -q ':0x1$' || fail "the list of namespaces"
nvme ns-descs "$DEV" | grep -Eq '^(uuid|nguid|eui64)' || fail "the namespace has no identifier"
nvme get-property "$CONTROL" --offset=0x1c | grep -Eq '(value|csts).*1$' || fail "CSTS is not ready"

for log in error-log smart-log fw-log effects-log changed-ns-list-log; do
    nvme $log "$CONTROL" >/dev/null || fail "$log"
done
if (($(value cmic controller) >> 3 & 1)); then nvme ana-log "$CONTROL" >/dev/null || fail "ana-log"; fi
for feature in 0x06 0x07 0x0b 0x0f; do
    nvme get-feature "$CONTROL" -f $feature >/dev/null || fail "feature $feature"
done
nvme set-feature "$CONTROL" -f 0x0b -v 0x100 >/dev/null || fail "asynchronous events"

head -c 4096 /dev/urandom >one
head -c 4096 /dev/urandom >two
head -c 4096 /dev/zero >zero
nvme write "$DEV" -s 8 -c $LAST -z 4096 -d one >/dev/null
nvme flush "$DEV" -n 1 >/dev/null
same 8 one
size=$(blockdev --getsz "$DEV")
# The kernel's target leaves the range to its device, and answers Internal Error.
[ "$EXPECT" != all ] || refused 'LBA Out of Range' nvme read "$DEV" -s $((size * 512 / BLOCK - LAST)) -c $LAST -z 4096 -d there
refused 'Invalid Log Page\|Invalid Field' nvme get-log "$CONTROL" -i 0x7f -l 512
refused 'Invalid Command Opcode' nvme admin-passthru "$CONTROL" --opcode=0xbf
if supported 0; then
    nvme compare "$DEV" -s 8 -c $LAST -z 4096 -d one >/dev/null || fail "compare of equal blocks"
    refused 'Compare Failure' nvme compare "$DEV" -s 8 -c $LAST -z 4096 -d two
fi
if supported 1; then
    nvme write-uncor "$DEV" -s 8 -c $LAST >/dev/null
    refused 'Unrecovered Read Error' nvme read "$DEV" -s 8 -c $LAST -z 4096 -d there
    nvme write "$DEV" -s 8 -c $LAST -z 4096 -d one >/dev/null
    same 8 one
fi
if supported 2; then nvme dsm "$DEV" -s 64 -b 8 -d >/dev/null || fail "deallocate"; fi
if supported 3; then
    nvme write-zeroes "$DEV" -s 8 -c $LAST >/dev/null
    same 8 zero
    nvme write "$DEV" -s 8 -c $LAST -z 4096 -d one >/dev/null
fi
if supported 7; then nvme verify "$DEV" -s 8 -c $LAST >/dev/null || fail "verify"; fi
if supported 8; then
    nvme copy "$DEV" --sdlba=128 --slbs=8 --blocks=$LAST --format=0 >/dev/null || fail "copy"
    same 128 one
fi
nvme reset "$CONTROL"
wait_for "[ \$(</sys/class/nvme/${CONTROL##*/}/state) = live ]"
same 8 one

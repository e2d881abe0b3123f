# CHAP both ways lets in; a wrong name, a wrong secret, none at all, and a target that cannot answer do not get through.
both() { # SECRET MUTUAL-SECRET
    echo "$AUTH.authmethod=CHAP $AUTH.username=user $AUTH.password=$1 $AUTH.username_in=weft $AUTH.password_in=$2"
}
refused() { # WHAT SETTINGS
    local what=$1 pair
    shift
    node -o new -I "$IFACE" >/dev/null
    for pair; do node -o update -n "${pair%%=*}" -v "${pair#*=}"; done
    ! timeout 30 iscsiadm -m node -T "$IQN" -p "$ADDRESS:$PORT" -l || fail "$what got in"
    node -o delete
}
start
refused "nobody"
refused "a wrong secret" $(both wrongwrongwrong mutualsecret)
refused "a wrong name" $(both secretsecret mutualsecret | sed 's/username=user/username=other/')
login $(both secretsecret mutualsecret)
dd if="$DEV" of=/dev/null bs=1M count=4 iflag=direct status=none
leave
refused "a target that does not know our secret" $(both secretsecret wrongwrongwrong)

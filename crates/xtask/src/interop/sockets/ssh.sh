# A server that runs itself anew for each connection, which is its standard input then, and gives up its rights: all of that is
# TCP's, and has to work. What is forwarded goes between sockets that are carried.
mkdir -p keys; chmod 700 keys
ssh-keygen -q -t ed25519 -N '' -f keys/host
ssh-keygen -q -t ed25519 -N '' -f keys/user
cp keys/user.pub keys/authorized
((EUID == 0)) && mkdir -p /run/sshd
cat >sshd.conf <<END
Port 16430
ListenAddress 127.0.0.1
HostKey $PWD/keys/host
AuthorizedKeysFile $PWD/keys/authorized
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
END
start "$(command -v sshd)" -D -e -f "$PWD/sshd.conf"
listening 16430
options=(-F none -i keys/user -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=known -o LogLevel=ERROR)
remote() { client timeout 60 ssh -p 16430 "${options[@]}" 127.0.0.1 "$@"; }
test "$(remote echo "it answers" </dev/null)" = "it answers"
say "its standard streams, and how it ended"
head -c $((16 << 20)) /dev/urandom >sent
remote cat <sent >got
cmp sent got
status=0; remote 'exit 7' </dev/null || status=$?
test $status = 7
say "files, there and back"
client timeout 120 sftp -q -P 16430 "${options[@]}" -b - 127.0.0.1 <<<"put $PWD/sent $PWD/there"$'\n'"get $PWD/there $PWD/back" >/dev/null
cmp sent back
say "a forwarded port"
(server nc -N -l 127.0.0.1 16431 <sent >/dev/null) & started+=($!)
become_client ssh -p 16430 "${options[@]}" -N -L 127.0.0.1:16432:127.0.0.1:16431 127.0.0.1 & started+=($!)
listening 16431; listening 16432
client nc 127.0.0.1 16432 </dev/null >got
cmp sent got
echo "carried: $(carried sshd) ($ENDS)"

# A server that forks for each connection, that is another user than its clients where we are root, which it refuses to be,
# that cancels by a second connection, and whose processes wake each other by signals.
home=$(mktemp -d); leftovers+=("$home"); chmod 755 "$home"
if ((EUID == 0)); then
    cp "$WEFT" "$(dirname "$WEFT")/libweft_preload.so" "$home"; WEFT=$home/weft
    server_as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    mkdir -m 700 "$home/data"; chown postgres: "$home/data"
fi
"${server_as[@]}" "$(command -v initdb)" -D "$home/data" -A trust -U weft -E UTF8 --no-sync >initdb.log
start "$(command -v postgres)" -D "$home/data" -c listen_addresses=127.0.0.1 -c port=16400 -c unix_socket_directories= -c fsync=off
listening 16400
export PGHOST=127.0.0.1 PGPORT=16400 PGUSER=weft PGDATABASE=postgres PGSSLMODE=disable PGCONNECT_TIMEOUT=60
for _ in $(seq 100); do if psql -qc 'select 1' >/dev/null 2>&1; then break; fi; sleep 0.2; done
sql() { client psql -qtA -v ON_ERROR_STOP=1 -c "$1"; }
test "$(sql 'select 6 * 7')" = 42
say "a table of some megabytes, there and back"
sql 'create table numbers as select i, md5(i::text) as hash from generate_series(1, 100000) as i'
sql '\copy (select * from numbers order by i) to one'
sql 'create table again (i int, hash text)'
sql '\copy again from one'
sql '\copy (select * from again order by i) to two'
cmp one two
test "$(sql 'select count(*) from numbers natural join again')" = 100000
say "pgbench: transactions, then queries alone"
client pgbench -i -q -s 1 >bench.log 2>&1
client pgbench -c 8 -j 2 -t 100 >>bench.log
client pgbench -n -S -c 16 -j 2 -t 500 -M prepared >>bench.log
client pgbench -n -S -C -c 2 -t 50 >>bench.log
test "$(grep -c 'failed transactions: 0 ' bench.log)" = 3
test "$(sql 'select (select sum(delta) from pgbench_history) = (select sum(abalance) from pgbench_accounts)')" = t
say "a query that is cancelled, and a server's process that goes"
echo '\! echo $PPID >psql.pid' >sleep.sql
echo 'select pg_sleep(600);' >>sleep.sql
client psql -qf sleep.sql >cancel.log 2>&1 & sleeper=$!
until test "$(sql "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep(600)%'")" = 1; do sleep 0.1; done
kill -INT "$(cat psql.pid)"
wait $sleeper || true
grep -q 'canceling statement due to user request' cancel.log
(sql 'select pg_terminate_backend(pg_backend_pid())' || true) >terminate.log 2>&1
grep -q 'administrator command' terminate.log
say "what is told to who listens"
cat >news.sql <<'END'
listen news;
\! psql -qc 'notify news, $$it is here$$'
select 1;
END
client psql -qtA -f news.sql >news.log
grep -q 'it is here' news.log
judge postgres

# Workers that were forked from who listens, edges, sendfile; clients that keep connections and such that do not.
mkdir -p www temp
head -c 3000000 /dev/urandom >www/large
echo small >www/small
cat >nginx.conf <<END
worker_processes 2; daemon off; pid $PWD/nginx.pid; error_log $PWD/error.log;
$( ((EUID == 0)) && echo "user root;")
events { worker_connections 256; }
http {
    access_log off; sendfile on;
    client_body_temp_path temp/1; proxy_temp_path temp/2; fastcgi_temp_path temp/3;
    uwsgi_temp_path temp/4; scgi_temp_path temp/5;
    server { listen 127.0.0.1:16380; root www; }
}
END
start nginx -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/error.log"
listening 16380
url=http://127.0.0.1:16380
client curl -sS $url/large $url/small $url/large -o one -o two -o three
cmp one www/large; cmp two www/small; cmp three www/large
test "$(client curl -s -o none -w '%{http_code}' $url/nothing)" = 404
say "keep-alive, and a connection for each request"
client ab -q -k -n 5000 -c 16 $url/small >ab.log
client ab -q -n 500 -c 8 $url/large >>ab.log
test "$(grep -c 'Failed requests: *0$' ab.log)" = 2
say "wrk: two threads, 32 connections"
client wrk -t 2 -c 32 -d 1 --timeout 60s $url/small >wrk.log
client wrk -t 2 -c 8 -d 1 --timeout 60s $url/large >>wrk.log
test "$(grep -c 'Requests/sec' wrk.log)" = 2
if grep -E 'Socket errors|Non-2xx' wrk.log; then exit 1; fi
judge nginx

# Node's http with kept connections and without, and streams of its net module; web.js says what each part demands.
start node web.js serve 16440
listening 16440
for part in http kept pipe half reset; do
    say $part
    client timeout 60 node web.js $part 16440
done
judge node

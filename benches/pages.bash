# shellcheck shell=bash disable=SC2154
# What pages cost: a part of benches/run, which has the functions and the variables.

say "Pages …"
# Whoever is in 100 conversations sees the first 20 of them.
printf 'correct horse battery' | on large user passwd person1002 --password-stdin --quiet >/dev/null
mkfifo pages.ready
launch 'pages' bash -c 'exec "$@" >pages.ready' - "$program" --db large.db serve --logins 0 --failed-logins 0 --bind 127.0.0.1:0 --ready-json
read -r -t 60 ready <pages.ready || die "'tidings serve' did not start: $(tail -n 5 pages.log)"
node "$here/pages.cjs" "$(sed 's/.*"url":"\([^"]*\)".*/\1/' <<<"$ready")" person1002 'correct horse battery' 200 >pages.rows ||
    die "the pages could not be measured"
while IFS=$'\t' read -r what asked measured; do row "$what, $all messages" "$asked" "$measured"; done <pages.rows
stop pages

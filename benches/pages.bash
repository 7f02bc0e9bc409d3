# shellcheck shell=bash disable=SC2154
# What pages cost: a part of benches/run, which has the functions and the variables.

say "Pages …"
# The log has an event of each message.
sqlite3 -bail large.db "INSERT INTO event (kind, at, actor_key, conversation_key, subject_id)
    SELECT 0, sent_at, sender_key, conversation_key, id FROM message ORDER BY key"
on large user create manager --role admin --no-password --quiet >/dev/null

pages() { # NAME DATABASE
    local name=$1 database=$2 who ready what asked measured
    # Whoever is in 100 conversations sees the first 20 of them.
    for who in person1002 manager; do
        printf 'correct horse battery' | "$program" --db "$database" user passwd "$who" --password-stdin --quiet >/dev/null
    done
    mkfifo pages.ready
    SECRET_KEY='a secret of the benchmarks' launch 'pages' bash -c 'exec "$@" >pages.ready' - "$program" --db "$database" \
        serve --logins 0 --failed-logins 0 --bind 127.0.0.1:0 --ready-json
    read -r -t 60 ready <pages.ready || die "'tidings serve' did not start: $(tail -n 5 pages.log)"
    node "$here/pages.cjs" "$(sed 's/.*"url":"\([^"]*\)".*/\1/' <<<"$ready")" "$program" "$database" \
        $((rounds < 5 ? 10 : 200)) $((messages < 100000 ? 5 : 500)) >pages.rows ||
        die "the pages could not be measured"
    while IFS=$'\t' read -r what asked measured; do row "$what, $name, $all messages" "$asked" "$measured"; done <pages.rows
    stop pages
    rm pages.ready
}

if [[ $postgres ]]; then
    say "Filling PostgreSQL …"
    "$program" --db large.db data dump --quiet >large.jsonl
    "$program" --db "$postgres" data load large.jsonl --quiet >/dev/null
    rm large.jsonl
fi
pages SQLite large.db
[[ ! $postgres ]] || pages PostgreSQL "$postgres"

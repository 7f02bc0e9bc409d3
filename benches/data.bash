# shellcheck shell=bash disable=SC2154
# What reading and writing records costs: a part of benches/run, which has the functions and the variables.

say "Data …"
rm -f small.db small.db-* large.db large.db-*
times=$((rounds < 3 ? rounds : 3))
# Runs a command to its end, from nothing; then `took` has its microseconds and `peak` its memory in KiB, where that can be told.
took=0 peak=''
measure() {
    local before after
    local -a meter=()
    rm -f new.db new.db-*
    [[ ! -x /usr/bin/time ]] || meter=(/usr/bin/time --quiet --format=%M --output=peak)
    sync .
    before=${EPOCHREALTIME/./}
    "${meter[@]}" "$@" </dev/null >out.jsonl 2>error || die "'$*' failed: $(<error)"
    after=${EPOCHREALTIME/./}
    took=$((after - before))
    [[ ! ${meter[*]} ]] || peak=$(<peak)
}
rate() { number $(($1 * 1000000 / $2)); }
# Compares how many messages a second two ways take: WHAT ASKED MESSAGES, and the microseconds and peaks of both in arrays
compared() {
    local own bare memory=''
    own=$(middle "${taken[@]}")
    [[ ! ${peaks[*]} ]] || memory=", $(($(printf '%s\n' "${peaks[@]}" | sort -n | tail -n 1) / 1024)) MiB of memory"
    if [[ ${bares[*]} ]]; then
        bare=$(middle "${bares[@]}")
        row "$1" "$2" "$(ratio "$bare" "$own") times the bare program's messages a second ($(rate "$3" "$own") : $(rate "$3" "$bare"))$memory"
    else
        row "$1" — "$(rate "$3" "$own") messages a second$memory"
    fi
}
new() { "$program" --now 2026-01-01 --db new.db "$@"; }
in_turn() { # MESSAGES COMMAND... : how long a command takes, in turn with the bare program writing as many messages
    local round
    taken=() bares=() peaks=()
    for ((round = 0; round < times; round++)); do
        measure "$program" --now 2026-01-01 --db new.db "${@:2}"
        taken+=("$took") peaks+=(${peak:+"$peak"})
        if [[ $limits ]]; then
            measure "$limits" bulk new.db "$1"
            bares+=("$took")
        fi
    done
}
seed=(data seed --users 1000 --conversations 500 --messages "$messages" --quiet)
in_turn "$messages" "${seed[@]}"
compared "\`data seed\`, $all messages" 'at least 0.5 times, under 100 MB' "$messages"
rm -f new.db new.db-*
new "${seed[@]}" >/dev/null 2>&1
mv new.db seeded.db
taken=() peaks=()
for ((round = 0; round < times; round++)); do
    measure "$program" --db seeded.db data dump --quiet
    taken+=("$took") peaks+=(${peak:+"$peak"})
done
mv out.jsonl seeded.jsonl
records=$(wc -l <seeded.jsonl)
compared "\`data dump\`, $all messages, $(number "$records") records" 'at least 6 times' "$messages"
rm -f seeded.db seeded.db-*
in_turn "$messages" data load seeded.jsonl --quiet
compared "\`data load\` of that dump" 'under 100 MB' "$messages"
rm -f seeded.jsonl
if [[ $data ]]; then
    measure "$program" --db new.db data load "$data" -o json --quiet
    count=$(sed -n 's/^ *"messages": \([0-9]*\),*$/\1/p' out.jsonl)
    in_turn "$count" data load "$data" --quiet
    compared "\`data load\` of a real file, $(number "$count") messages" 'at least 0.5 times, under 100 MB' "$count"
fi
for ((index = 0; index < 1000; index++)); do
    if ((index < 100)); then
        printf '{"type":"user","username":"user%d"}\n' "$index"
    elif ((index < 120)); then
        printf '{"type":"conversation","name":"room%d","participants":["user%d","user%d","user%d"]}\n' \
            $((index - 100)) $((index % 100)) $((index % 100 + 20)) $((index % 100 + 40))
    else
        printf '{"type":"message","key":"m%d","conversation":"room%d","sender":"user%d","content":"%s"}\n' \
            "$index" $((index % 20)) $((index % 20)) 'The ferry is late again'
    fi
done >fixture.jsonl
apply_anew() { rm -f new.db new.db-*; new data apply fixture.jsonl --quiet; }
contest "$rounds" apply_anew 'new data apply fixture.jsonl --quiet'
row '`data apply`, 1,000 records, into a new database' 'under 100 ms' "$(milliseconds "${median[0]}")"
row '`data apply`, the same again' — "$(milliseconds "${median[1]}")"

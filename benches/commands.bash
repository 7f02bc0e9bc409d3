# shellcheck shell=bash disable=SC2154
# What the commands cost on a large database: a part of benches/run, which has the functions and the variables.

say "Commands …"
text="'The ferry is late again, so we shall meet at noon at the harbour'"
send="on large message send room1 $text --as person1"
if [[ $limits ]]; then
    contest "$rounds" "$send" '"$limits" send limits.db 1'
    row "\`message send\`, $all messages" 'at most 1.5 times' "$(against 'the bare program')"
else
    say "Without --limits, sending is not compared with a bare program."
fi
contest "$rounds" "$send" "sqlite3 large.db 'SELECT 1'"
row "\`message send\`, $all messages" — "$(against "\`sqlite3 FILE 'SELECT 1'\`")"
page="SELECT number, username, content, sent_at FROM message JOIN account ON account.key = sender_key
      WHERE conversation_key = (SELECT key FROM conversation WHERE name_folded = 'room1')"
contest "$rounds" 'on large message list room1 --as person1' "sqlite3 large.db 'SELECT 1'"
row "\`message list\`, 50 of a conversation, $all messages" 'at most 3 times' "$(against "\`sqlite3 FILE 'SELECT 1'\`")"
contest "$rounds" 'on large message list room1 --as person1' 'sqlite3 large.db "$page ORDER BY number DESC LIMIT 50"'
row "\`message list\`, 50 of a conversation, $all messages" — "$(against 'the same rows by `sqlite3`')"
contest "$rounds" 'on large message show room1#1 --as person1' 'sqlite3 large.db "$page AND number = 1"'
row "\`message show\`, $all messages" — "$(against 'the same row by `sqlite3`')"
contest "$rounds" complete_name "sqlite3 large.db 'SELECT 1'"
row "completing a user name among $(number "$users")" 'under 30 ms' "$(milliseconds "${median[0]}"), $(ratio "${median[0]}" "${median[1]}") times \`sqlite3 FILE 'SELECT 1'\`"

say "Search …"
runs=$((rounds * 7))
for searcher in 'person1 1 conversation' 'person1002 100 conversations'; do
    read -r who where <<<"$searcher"
    search="on large message search --as $who"
    contest "$runs" "$search zanzibar" "$search harbour" "$search nowhere" "$search elsewhere" "sqlite3 large.db 'SELECT 1'"
    index=0
    for word in 'a rare' 'a frequent' 'an absent' "others'"; do
        asked='p99 under 20 ms'
        [[ $word != others* ]] || asked='at most 50 ms'
        row "\`message search\`, $word word, $where, $all messages" "$asked" \
            "$(milliseconds "${median[index]}"), p99 of $runs $(milliseconds "${worst[index]}")"
        index=$((index + 1))
    done
    row "\`sqlite3 FILE 'SELECT 1'\` in turn with these: how noisy the machine was" — \
        "$(milliseconds "${median[index]}"), p99 of $runs $(milliseconds "${worst[index]}")"
done

say "Growth …"
for command in "message send room1 $text --as person1" 'message list room1 --limit 20 --as person1' \
    'message show room1#1 --as person1' 'message search harbour --limit 20 --as person1002' \
    'notifications list --limit 20 --as person2' 'conversation list --limit 20 --as person1002'; do
    contest "$rounds" "on large $command" "on small $command"
    # A search has more hits to choose from.
    asked='about the same'
    [[ $command != *search* ]] || asked=—
    [[ $command =~ ^[a-z]+\ [a-z]+ ]]
    row "\`${BASH_REMATCH[0]}\`, $all messages" "$asked" "$(against "as on $few")"
done

say "Groups …"
for command in "message send GROUP $text --as FIRST" 'message list GROUP --as LAST' 'conversation show GROUP --as LAST' \
    'notifications list --as LAST'; do
    [[ $command =~ ^[a-z]+\ [a-z]+ ]]
    name=${BASH_REMATCH[0]} lines=()
    for group in 'pair person1003 person1004' 'hundred person1101 person1200' 'thousand person1201 person2200'; do
        read -r group first last <<<"$group"
        line=${command/GROUP/$group} line=${line/FIRST/$first}
        lines+=("on large ${line/LAST/$last}")
    done
    contest "$rounds" "${lines[@]}"
    row "\`$name\`, groups of 2, 100 and 1,000" — \
        "$(milliseconds "${median[0]}"), $(milliseconds "${median[1]}"), $(milliseconds "${median[2]}")"
done

say "Threads …"
# What showing one message takes is taken off: it is the same for a short thread and a long one. More rounds, because what
# remains of the short one is little.
for format in ids jsonl; do
    contest $((rounds * 3)) "on small message show thread#1 -o $format" "on small message thread thread#1 -o $format" \
        "on large message show thread#1 -o $format" "on large message thread thread#1 -o $format" \
        "on large message thread chain#1 -o $format"
    base=$(((median[1] - median[0]) * 1000 / few_replies))
    wide=$(((median[3] - median[2]) * 1000 / replies))
    deep=$(((median[4] - median[2]) * 1000 / depth))
    for kind in "$(number "$replies") replies:$wide" "a chain $depth deep:$deep"; do
        row "\`message thread -o $format\`, ${kind%:*}, a reply" 'at most 2 times' \
            "$(ratio "${kind##*:}" "$base") times one of $(number "$few_replies") replies among $few messages ($(microseconds "${kind##*:}") : $(microseconds "$base"))"
    done
done

say "Deletion …"
copy() { rm -f copy.db copy.db-*; cp large.db copy.db; sync copy.db; }
copy
next=0
delete_next() { next=$((next + 1)); on copy message delete "pair#$next" --yes --quiet; }
runs=$((rounds < 5 ? rounds : 5))
contest "$runs" delete_next
row "\`message delete\`, one of $all, erased from the file" — "$(milliseconds "${median[0]}"), median of $runs"
taken=()
runs=$((rounds < 3 ? rounds : 3)) # each needs a copy of its own
for ((round = 0; round < runs; round++)); do
    copy
    before=${EPOCHREALTIME/./}
    on copy user delete person1001 --yes --quiet </dev/null >/dev/null 2>error || die "'user delete' failed: $(<error)"
    after=${EPOCHREALTIME/./}
    taken+=("$((after - before))")
done
mapfile -t taken < <(printf '%s\n' "${taken[@]}" | sort -n)
row "\`user delete\`, an account with $(number $((messages / 100))) of $all messages, erased from the file" — \
    "$(milliseconds "${taken[(runs - 1) / 2]}"), median of $runs"
rm -f copy.db copy.db-*

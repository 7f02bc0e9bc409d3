# shellcheck shell=bash disable=SC2154
# What the REST API costs: a part of benches/run, which has the functions and the variables.

say "REST API …"
runs=$((rounds < 5 ? rounds : 5))
rooms=$((messages < 500 ? messages : 500)) # those of `fill` that have messages
little=$((messages < 10000 ? messages : 10000)) # 20 a conversation, which fill a page
declare -A url=() world=()

# ---- Servers

# Serves a database; then `took` has the microseconds until requests were accepted, and `ready` what was said of it.
serve() { # NAME OPTION...
    local before
    rm -f "$1.out"
    mkfifo "$1.out"
    before=${EPOCHREALTIME/./}
    launch "$1" "$program" "${@:2}" --bind 127.0.0.1:0 --ready-json
    read -r -t 60 ready <"$1.out" || die "'tidings serve' did not start: $(tail -n 5 "$1.log")"
    took=$((${EPOCHREALTIME/./} - before))
    url[$1]=$(sed 's/.*"url":"\([^"]*\)".*/\1/' <<<"$ready")
}
accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
responds() { # PORT : what listens there already may not be ready for requests
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&3
        read -r -t 10 -u 3 _
    ) 2>/dev/null
}
serve_at_port() { # NAME COMMAND... : where it ends in PORT, a free port is meant
    local port=$((10000 + RANDOM % 20000))
    while accepts "$port"; do port=$((10000 + RANDOM % 20000)); done
    launch "${@/%PORT/$port}"
    until responds "$port"; do
        kill -0 "${process[$1]}" 2>/dev/null || die "'${*:2}' did not start: $(tail -n 5 "$1.log")"
        sleep 0.05
    done
    url[$1]=http://127.0.0.1:$port
}
memory() { sed -n "s/^$2:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/${process[$1]}/status" 2>/dev/null || true; } # NAME FIELD
megabytes() { printf '%d.%d MB' $(($1 * 1024 / 1000000)) $(($1 * 1024 / 100000 % 10)); } # of KiB

# ---- Who asks for what: lines of "CONVERSATION USERNAME TOKEN"

users_of_rooms="SELECT hex(conversation.id), username FROM conversation
    JOIN message ON conversation_key = conversation.key AND number = 1
    JOIN account ON account.key = sender_key WHERE conversation.key <= $rooms"
# Access tokens count for ten minutes; the refresh tokens that come with them do not matter.
issued=''
issue() {
    [[ ! $issued ]] || ((SECONDS - issued > 300)) || return 0
    cat rooms hundred | cut -d ' ' -f 2 | sort -u | xargs -P "$(nproc)" -I USER "$program" --db large.db token issue USER \
        --output tsv --no-header --fields user.username,access 2>error | tr '\t' ' ' | sort >tokens || die "'token issue' failed: $(<error)"
    join -1 2 -o 1.1,0,2.2 <(sort -k 2 rooms) tokens >tidings.world
    join -1 2 -o 1.1,0,2.2 <(sort -k 2 hundred) tokens >hundred.world
    # Which has numbers for ids, and looks at no token.
    awk '{ print NR, $2, $3 }' tidings.world >limits.world
    awk '{ print 1, $2, $3 }' hundred.world >limits_hundred.world
    for world in tidings limits; do split -d -a 1 -n l/2 "$world.world" "half_$world."; done
    issued=$SECONDS
}

# ---- Load

begin() { # CONNECTIONS REQUEST SERVER [ANSWERS] : until it is told to end, or stops after so many
    rm -f wrk.log
    launch wrk wrk -t 1 -c "$1" -d 1h --timeout 30s -s "$here/wrk.lua" "${url[$3]}" -- "$2" "${world[$3]}" "${@:4}"
    hear ready
}
hear() { # WORD
    until grep -qs "^$1$" wrk.log; do
        kill -0 "${process[wrk]}" 2>/dev/null || finish wrk
        sleep 0.01
    done
}
# Again and again, because wrk misses a signal that comes before it waits.
interrupt() { while kill -INT "${process[wrk]}" 2>/dev/null; do sleep 0.05; done; }
# Then `answers` has those of 1,000 seconds, and `percentile` the microseconds in which 99 of 100 came.
end() {
    local requests duration refused broken
    finish wrk
    read -r requests duration percentile refused broken < <(sed -n 's/^done //p' wrk.out) || die "wrk failed: $(tail -n 5 wrk.out)"
    ((requests > 0 && refused == 0 && broken == 0)) ||
        die "wrk had $requests answers, of which $refused were errors, and $broken connections broke: $(head -n 1 wrk.out)"
    answers=$((requests * 1000000000 / duration))
}
# What others write to a server while it is driven, 1,000 messages a second: a file of conversations
declare -A writes=()
# What is asked of a server, if it is not what is asked of those that it is compared with
declare -A asks=()
begin_to_write() { # SERVER
    rm -f writer.log
    launch writer wrk -t 1 -c 16 -d 1h --timeout 30s -s "$here/wrk.lua" "${url[$1]}" -- write "${writes[$1]}"
    until grep -qs '^ready$' writer.log; do sleep 0.01; done
    sleep 0.2
}
end_to_write() {
    local requests duration refused broken
    while kill -INT "${process[writer]}" 2>/dev/null; do sleep 0.05; done
    finish writer
    read -r requests duration _ refused broken < <(sed -n 's/^done //p' writer.out) || die "wrk failed: $(tail -n 5 writer.out)"
    ((requests > 0 && refused == 0 && broken == 0)) || die "of $requests writes $refused were refused, and $broken connections broke"
    ((requests * 1000000 / duration > 800)) || say "Only $((requests * 1000000 / duration)) messages a second were written."
}
drive() { # CONNECTIONS REQUEST SERVER
    [[ ! ${writes[$3]-} ]] || begin_to_write "$3"
    begin "$1" "${asks[$3]-$2}" "$3"
    sleep "$seconds"
    interrupt
    end
    [[ ! ${writes[$3]-} ]] || end_to_write
}
# How many pages of messages a server has found in memory, and how many it had to read
pages() { # SERVER
    local connection
    exec {connection}<>"/dev/tcp/127.0.0.1/${url[$1]##*:}"
    printf 'GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&"$connection"
    sed -n 's/^tidings_page_\(hits\|misses\)_total //p' <&"$connection" | tr -d '\r' | paste -d ' ' - -
    exec {connection}>&-
}
# Drives servers in turn, so that `rates` and `slowest` hold the medians of each one's answers and percentiles. Before a turn of
# a server, `before` may have something to run.
declare -A before=()
race() { # CONNECTIONS REQUEST SERVER...
    local round server
    local -A all_rates=() all_slowest=()
    for ((round = 0; round < runs; round++)); do
        for server in "${@:3}"; do
            issue
            ${before[$server]-}
            drive "$1" "$2" "$server"
            all_rates[$server]+=" $answers" all_slowest[$server]+=" $percentile"
        done
    done
    rates=() slowest=()
    for server in "${@:3}"; do
        rates+=("$(middle ${all_rates[$server]})") slowest+=("$(middle ${all_slowest[$server]})") # unquoted: words are numbers
    done
}
warm() { begin 16 list "$1"; sleep 0.5; interrupt; finish wrk; } # SERVER, which may be too slow yet to answer
a_second() { if (($1 < 100000)); then printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100)); else number $((($1 + 500) / 1000)); fi; }
# How the first of a race did beside the second, which is said to be WHAT
compare() { # WHAT
    echo "$(ratio "${rates[0]}" "${rates[1]}") times $1 ($(a_second "${rates[0]}") : $(a_second "${rates[1]}"))," \
        "p99 $(ratio "${slowest[0]}" "${slowest[1]}") times ($(milliseconds "${slowest[0]}") : $(milliseconds "${slowest[1]}"))"
}
alone() { echo "$(a_second "${rates[0]}") $1 a second, p99 $(milliseconds "${slowest[0]}")"; }

# ---- The databases: in the rooms are two people each, who can log in

fill little.db "$little" 100
sqlite3 -bail large.db 'DELETE FROM participant WHERE user_key = 1002 AND conversation_key <= 500'
sqlite3 -bail little.db 'DELETE FROM participant WHERE user_key = 1002 AND conversation_key <= 500'
printf 'correct horse battery' | on large user create visitor --password-stdin --quiet >/dev/null
sqlite3 -bail large.db "UPDATE account SET password_hash = (SELECT password_hash FROM account WHERE username = 'visitor') WHERE key <= 1001"
sqlite3 -separator ' ' large.db "$users_of_rooms" | tr A-F a-f | sed -E 's/^(.{8})(.{4})(.{4})(.{4})/\1-\2-\3-\4-/' >rooms
sqlite3 -separator ' ' large.db "SELECT hex(conversation.id), username FROM participant
    JOIN conversation ON conversation.key = conversation_key JOIN account ON account.key = user_key WHERE name = 'hundred'" |
    tr A-F a-f | sed -E 's/^(.{8})(.{4})(.{4})(.{4})/\1-\2-\3-\4-/' >hundred
SECRET_KEY=$(od -A n -t x1 -N 32 /dev/urandom | tr -d ' \n')
export SECRET_KEY # of all servers, so that a token counts on each
sync .
issue
world=([large]=tidings.world [little]=tidings.world [limits]=limits.world)

all=$(number "$messages")
serve_large() { serve large --db large.db serve --logins 0 --failed-logins 0; }
taken=()
for ((round = 0; round < runs; round++)); do
    ((round == 0)) || stop large
    serve_large
    taken+=("$took")
done
row "\`serve\`, from its start to the first request it accepts, $all messages" 'at most 100 ms' "$(milliseconds "$(middle "${taken[@]}")")"
sleep 0.2
idle=$(memory large VmRSS) own=$(memory large RssAnon)
[[ ! $idle ]] || row "\`serve\`, memory before the first request, $all messages" 'at most 20 MB' \
    "$(megabytes "$idle"), without the program's own file $(megabytes "$own")"

# Both begin each turn alike, with an empty write-ahead log, and the little one is little again.
renew_large() {
    stop large
    serve_large
    warm large
}
renew() { # SERVER DATABASE COMMAND... : serves a copy of the database, copy-SERVER.db
    [[ ! ${process[$1]-} ]] || stop "$1"
    rm -f "copy-$1.db" "copy-$1.db"-*
    cp "$2" "copy-$1.db"
    sync "copy-$1.db"
    "${@:3}"
    warm "$1"
}
renew_little() { renew little little.db serve little --db copy-little.db serve; }
renew_bare_large() { renew bare_large limits.db serve_at_port bare_large "$limits" serve copy-bare_large.db 127.0.0.1:PORT; }
renew_bare_little() { renew bare_little bare.db serve_at_port bare_little "$limits" serve copy-bare_little.db 127.0.0.1:PORT; }
before=([large]=renew_large [little]=renew_little [bare_large]=renew_bare_large [bare_little]=renew_bare_little)
world+=([bare_large]=limits.world [bare_little]=limits.world)
[[ ! $limits ]] || "$limits" fill bare.db "$little" >/dev/null
for request in 'list 16 GET' 'send 64 POST'; do
    read -r request connections method <<<"$request"
    name="\`$method …/messages/\`, $connections connections, $all messages"
    race "$connections" "$request" large little
    row "$name" 'within 1.3 times' "$(compare "the requests a second over $(number "$little")")"
    [[ $limits ]] || continue
    race "$connections" "$request" bare_large bare_little
    row "$name, the bare program" — "$(compare "the requests a second over $(number "$little")")"
done
before=()
for server in little bare_large bare_little; do
    [[ ! ${process[$server]-} ]] || stop "$server"
done
rm -f copy-*.db copy-*.db-* bare.db bare.db-*

if [[ $limits ]]; then
    serve_at_port limits "$limits" serve limits.db 127.0.0.1:PORT
    warm limits
else
    say "Without --limits, the REST API is not compared with a bare program."
fi
for request in 'list GET' 'send POST'; do
    read -r request method <<<"$request"
    for connections in 1 16 64 256; do
        asked=— name="\`$method …/messages/\`, $connections connections"
        [[ $request:$connections != list:@(16|64) ]] || asked='at least 1.4 times, p99 at most 1.0 times'
        ((connections > 1)) || name=${name%s}
        race "$connections" "$request" large ${limits:+limits}
        if [[ $limits ]]; then
            [[ $request:$connections != send:64 ]] || asked='at least 0.85 times, p99 at most 1.3 times'
            row "$name" "$asked" "$(compare "the bare program's requests a second")"
        else
            row "$name" — "$(alone requests)"
        fi
    done
done
# Pages of messages that are kept in memory: asked for by many, while others write, and by those who have them already. Each name is a
# server with what is asked of it, and the bare program beside it.
for name in hundred written others known; do url[$name]=${url[large]} url[bare_$name]=${url[limits]-}; done
world+=([hundred]=hundred.world [written]=tidings.world [others]=half_tidings.0 [known]=tidings.world)
world+=([bare_hundred]=limits_hundred.world [bare_written]=limits.world [bare_others]=half_limits.0 [bare_known]=limits.world)
writes=([written]=tidings.world [others]=half_tidings.1 [bare_written]=limits.world [bare_others]=half_limits.1)
asks=([known]=known)
while IFS=: read -r -u 3 name asked text; do
    read -r hits misses < <(pages large)
    race 16 list "$name" ${limits:+"bare_$name"}
    hits=$(($(pages large | cut -d ' ' -f 1) - hits)) misses=$(($(pages large | cut -d ' ' -f 2) - misses))
    what=$(if [[ $limits ]]; then compare "the bare program's requests a second"; else alone requests; fi)
    row "\`GET …/messages/\`, 16 connections, $text" "$asked" "$what, $(ratio $((hits * 100)) $((hits + misses))) % in memory"
done 3<<'END'
hundred:—:one conversation of 100 people
written:at least 0.9 times, p99 at most 1.5 times:while 1,000 messages a second are sent into these conversations
others:at least 1.1 times:while 1,000 messages a second are sent into others
known:at least 1.8 times:304, where the bare program answers 200
END
[[ ! $limits ]] || stop limits
peak=$(memory large VmHWM)
[[ ! $peak ]] || row "\`serve\`, the most memory under this load, $all messages" 'at most 100 MB' "$(megabytes "$peak")"

issue
begin 64 send large
sleep 0.3
contest "$((runs * 10))" 'on large message send room1 "The ferry is late again" --as person1'
interrupt
end
row '`message send` while 64 connections POST' 'no errors' \
    "$(milliseconds "${median[0]}"), p99 of $((runs * 10)) $(milliseconds "${worst[0]}"); $(a_second "$answers") requests a second meanwhile"

seconds=${seconds/#0.?/1} race 16 log-in large # each takes its time
log_in_peak=$(memory large VmHWM)
row '`POST /api/token/`, 16 connections' — "$(alone log-ins)${log_in_peak:+, $(megabytes "$log_in_peak") of memory}"

if [[ $peer ]]; then
    say "The application in Django REST Framework …"
    serve_at_port peer "$here/peers/django/run" "$peer" PORT "$messages"
    sqlite3 -separator ' ' :memory: "SELECT json_extract(value, '\$.id'), json_extract(value, '\$.username'), json_extract(value, '\$.access')
        FROM json_each(readfile('${peer//\'/\'\'}/$messages/world.json'), '\$.conversations')" >peer.world
    world[peer]=peer.world
    warm peer
    for request in 'send:POST …/messages/' 'list:GET …/messages/' 'notifications:GET /api/notifications/' 'log-in:POST /api/token/'; do
        race 16 "${request%%:*}" large peer
        row "\`${request#*:}\`, 16 connections" — "$(compare "the requests a second of Django REST Framework")"
    done
    stop peer
fi
stop large

# ---- A server for tests

sent=$little
for ((room = 0; room < 10; room++)); do
    id=00000000-0000-7000-8000-00000000000$room
    printf '{"type":"user","username":"person%d"}\n{"type":"user","username":"other%d"}\n' "$room" "$room"
    printf '{"type":"conversation","conversation_id":"%s","name":"room%d","participants":["person%d","other%d"]}\n' "$id" "$room" "$room" "$room"
done >fixture.jsonl
serve ephemeral serve --ephemeral --fixture fixture.jsonl --token-for "$(echo person{0..9} | tr ' ' ,)"
for ((room = 0; room < 10; room++)); do
    echo "00000000-0000-7000-8000-00000000000$room person$room $(sed "s/.*\"person$room\":\"\([^\"]*\)\".*/\1/" <<<"$ready")"
done >ephemeral.world
world[ephemeral]=ephemeral.world
taken=()
for ((round = 0; round < runs; round++)); do
    begin 16 send ephemeral "$sent"
    hear enough
    interrupt
    end
    exec {connection}<>"/dev/tcp/127.0.0.1/${url[ephemeral]##*:}"
    start=${EPOCHREALTIME/./}
    printf 'POST /test/rollback HTTP/1.1\r\nHost: 127.0.0.1\r\nTidings-Test: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' >&"$connection"
    read -r -t 60 -u "$connection" _ status _ || status=nothing
    taken+=("$((${EPOCHREALTIME/./} - start))")
    exec {connection}>&-
    [[ $status == 204 ]] || die "'POST /test/rollback' was answered with $status."
done
row "\`POST /test/rollback\`, $(number "$sent") messages gone" 'under 20 ms' "$(milliseconds "$(middle "${taken[@]}")")"
stop ephemeral
rm -f little.db little.db-* limits.db limits.db-*

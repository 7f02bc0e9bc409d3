# shellcheck shell=bash disable=SC2154
# What event streams cost: a part of benches/run, which has the functions and the variables. The load comes from the bare program.

say "Event streams …"
runs=$((rounds < 5 ? rounds : 5))
few=1000 many=10000
ulimit -n "$(ulimit -H -n)"
port() { # a port that nothing listens at
    local port=$((10000 + RANDOM % 20000))
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((10000 + RANDOM % 20000)); done
    echo "$port"
}
await() { # NAME PORT
    until (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; do
        kill -0 "${process[$1]}" 2>/dev/null || die "$1 did not start: $(tail -n 5 "$1.log")"
        sleep 0.05
    done
}

# ---- Servers: ours, the bare program, and nchan, which stores nothing either

live() { "$program" --db live.db --quiet "$@"; }
live db migrate >/dev/null
printf '%s\n' '{"type":"user","username":"speaker"}' '{"type":"user","username":"other"}' '{"type":"user","username":"third"}' \
    '{"type":"conversation","name":"room","participants":["speaker","third"]}' \
    '{"type":"conversation","name":"elsewhere","participants":["other","third"]}' >live.jsonl
live data load live.jsonl >/dev/null
SECRET_KEY=${SECRET_KEY:-$(od -A n -t x1 -N 32 /dev/urandom | tr -d ' \n')}
export SECRET_KEY
header() { echo "Authorization: Bearer $(live token issue "$1" --output tsv --no-header --fields access)"; } # USER
messages_of() { echo "/api/conversations/$(live conversation show "$1" --output tsv --no-header --fields conversation_id)/messages/"; } # CONVERSATION
template="{\"content\": \"{marks} $(printf 'a message of the usual length, is it not? %.0s' 1 2)\"}"

declare -A stream=() publish=()
start_live() {
    local at
    at=$(port)
    launch live "$program" --db live.db serve --quiet --bind "127.0.0.1:$at" --user-streams 100000 --max-streams 100000
    await live "$at"
    stream[live]=http://127.0.0.1:$at/api/events/ publish[live]=http://127.0.0.1:$at$(messages_of room)
}
start_bare() {
    local at
    at=$(port)
    launch bare "$limits" fan-out "127.0.0.1:$at"
    await bare "$at"
    stream[bare]=http://127.0.0.1:$at/api/events/ publish[bare]=http://127.0.0.1:$at/publish
}
start_nchan() {
    local at
    at=$(port)
    mkdir -p nchan
    cat >nchan.conf <<CONF
worker_processes 2; daemon off; pid $dir/nchan.pid; error_log $dir/nchan.error; worker_rlimit_nofile $(ulimit -n);
load_module modules/ngx_nchan_module.so;
events { worker_connections 30000; }
http {
    access_log off;
    server {
        listen 127.0.0.1:$at;
        location = /pub { nchan_publisher; nchan_channel_id room; }
        location = /sub { nchan_subscriber eventsource; nchan_channel_id room; nchan_subscriber_first_message newest; }
    }
}
CONF
    launch nchan nginx -p /usr/share/nginx/ -c "$dir/nchan.conf"
    await nchan "$at"
    stream[nchan]=http://127.0.0.1:$at/sub publish[nchan]=http://127.0.0.1:$at/pub
}
# Lets listeners hear what is published; `heard` has what the load says of it.
hear_all() { # SERVER LISTENERS OPTION...
    local -a more=()
    local pid
    [[ $1 != live ]] || more=(--header "$(header speaker)" --event message.created --json "$template")
    for pid in ${process[$1]} $(pgrep -P "${process[$1]}"); do more+=(--pid "$pid"); done
    heard=$("$limits" listen "${stream[$1]}" "$2" "${@:3}" --publish "${publish[$1]}" "${more[@]}" 2>error) || die "the load failed: $(<error)"
    [[ $(field missing) == 0 && $(field doubled) == 0 && $(field orders) == 1 ]] || die "$1: not everything was heard, once and in order: $heard"
}
listeners() { curl -s "${stream[live]%/api/events/}/metrics" | sed -n 's/^tidings_event_listeners //p'; }
until_listening() { until [[ $(listeners) == "$1" ]]; do sleep 0.1; done; } # LISTENERS
# Of the program, and what the kernel keeps for all connections, in KiB
kept() { echo "$(($(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/${process[live]}/status") + $(awk '$1 == "TCP:" { print $11 * 4 }' /proc/net/sockstat)))"; }
a_second() { number $((($1 + 500) / 1000)); }
seconds_of() { printf '%d.%d s' $((($1 + 50) / 1000)) $((($1 + 50) % 1000 / 100)); }
count_of() { number $((($1 + 500) / 1000)); }
field() { jq ".$1" <<<"$heard"; }
thousandths() { jq ".$1 * 1000 | round" <<<"$heard"; }

# ---- What is compared takes turns

servers=(live bare)
if command -v nginx >/dev/null && [[ -e /usr/share/nginx/modules/ngx_nchan_module.so || -e /usr/lib/nginx/modules/ngx_nchan_module.so ]]; then
    servers+=(nchan)
else
    say "nchan is missing, so it is not compared. On Debian: sudo apt-get install nginx-light libnginx-mod-nchan"
fi
compare_live() { # LISTENERS WHAT-IS-READ OPTION... : `medians` has the median of each server's
    local round server
    local -A all=() costs=()
    for ((round = 0; round < runs; round++)); do
        for server in "${servers[@]}"; do
            hear_all "$server" "$1" "${@:3}"
            all[$server]+=" $(thousandths "$2")" costs[$server]+=" $(thousandths server.cpu_s_per_million)"
        done
    done
    medians=() cost=()
    for server in "${servers[@]}"; do
        medians+=("$(middle ${all[$server]})") cost+=("$(middle ${costs[$server]})") # unquoted: words are numbers
    done
}
for server in "${servers[@]}"; do "start_$server"; done
beside() { # UNIT : how the first did beside the second, and beside nchan
    local text
    text="$(ratio "${medians[0]}" "${medians[1]}") times the bare program's ($($1 "${medians[0]}") : $($1 "${medians[1]}"))"
    [[ ! ${medians[2]-} ]] || text+=", $(ratio "${medians[0]}" "${medians[2]}") times nchan's ($($1 "${medians[2]}"))"
    echo "$text"
}
for listeners in $few $many; do
    all=$(number "$listeners")
    if ((listeners == few)); then
        paced=(--events 150 --rate 50) one=(--events 300 --window 1) crowd=(--events 1200 --window 16) asked='p99 at most 1.8 times'
    else
        paced=(--events 16 --rate 4) one=(--events 60 --window 1) crowd=(--events 160 --window 16) asked='p99 at most 1.6 times'
    fi
    compare_live "$listeners" p99_ms "${paced[@]}"
    row "from a \`POST\` to delivery, $all listeners in one conversation" "$asked" "$(beside milliseconds)"
    medians=("${cost[@]}")
    row "processor seconds for a million deliveries, $all listeners" 'at most 2.2 times' "$(beside seconds_of)"
    if ((listeners == many)); then
        # What had listeners before keeps their memory for the next ones.
        idle=()
        for server in "${servers[@]}"; do
            stop "$server"
            "start_$server"
            hear_all "$server" "$listeners" --events 1 --rate 1
            idle+=("$(field server.bytes_per_idle_listener | cut -d . -f 1)")
        done
        row "memory of a listener that hears nothing, $all of them" 'at most 20 KiB' "$((idle[0] / 1024)) KiB${idle[2]+, nchan $((idle[2] / 1024)) KiB}"
    fi
    compare_live "$listeners" deliveries_per_s "${one[@]}"
    row "deliveries a second, one event at a time, $all listeners" 'at least 0.6 times' "$(beside count_of)"
    compare_live "$listeners" deliveries_per_s "${crowd[@]}"
    row "deliveries a second, 16 events under way, $all listeners" "at least 0.6 times, and twice nchan's" "$(beside count_of)"
done
for server in "${servers[@]:1}"; do stop "$server"; done

# ---- What another process commits

mkfifo told
launch listening curl -sN "${stream[live]}" -H "$(header speaker)" -o told
exec {told}<told
taken=()
for ((round = 0; round <= runs * 20; round++)); do
    live message send room "event $round" --as speaker >/dev/null
    before=${EPOCHREALTIME/./}
    until [[ ${line-} == *"\"content\":\"event $round\""* ]]; do
        IFS= read -r -t 10 -u "$told" line || die "event $round was not heard"
    done
    ((round == 0)) || taken+=("$((${EPOCHREALTIME/./} - before))")
done
stop listening
exec {told}<&-
mapfile -t taken < <(printf '%s\n' "${taken[@]}" | sort -n)
row 'from the exit of a command to delivery' 'p50 at most 20 ms, p99 at most 60 ms' \
    "p50 $(milliseconds "$(middle "${taken[@]}")"), p99 $(milliseconds "${taken[(${#taken[@]} * 99 + 99) / 100 - 1]}")"

# ---- Listeners that hear nothing of what is written

written() { # LISTENERS : how many messages a second, in thousandths
    local options=(2000 0 --connections 16 --header "$(header other)" --json "$template")
    "$limits" publish "$(sed 's|/api/.*||' <<<"${publish[live]}")$(messages_of elsewhere)" "${options[@]}" 2>error | jq '.per_s * 1000 | round'
}
quiet=() crowded=()
for ((round = 0; round < runs; round++)); do
    quiet+=("$(written)")
    launch listeners "$limits" listen "${stream[live]}" "$few" --header "$(header speaker)"
    until_listening "$few"
    crowded+=("$(written)")
    stop listeners
    until_listening 0
done
row "\`POST\`, 16 connections, beside $(number "$few") listeners that hear nothing of it" 'at least 0.95 times' \
    "$(ratio "$(middle "${crowded[@]}")" "$(middle "${quiet[@]}")") times without ($(a_second "$(middle "${crowded[@]}")") : $(a_second "$(middle "${quiet[@]}")"))"

# ---- Listeners that do not read

stop live
start_live
hear_all live "$few" --events 150 --rate 50
alone=$(thousandths p99_ms)
launch stalled "$limits" stalled "${stream[live]}" "$few" --seconds 600 --header "$(header speaker)"
until_listening "$few"
before=$(kept)
large="{\"content\": \"{marks} $(printf '%050000d' 0)\"}"
"$limits" publish "${publish[live]}" 2000 0 --header "$(header speaker)" --json "$large" >/dev/null 2>error || die "the load failed: $(<error)"
after=$(kept)
hear_all live "$few" --events 150 --rate 50
among=$(thousandths p99_ms)
start=$EPOCHSECONDS
until_listening 0
row "$(number "$few") listeners that stop reading, 100 MB of events" \
    'at most 128 KiB each, gone in 30 s, p99 of others at most 1.2 times' \
    "$(((after - before) / few)) KiB each, gone $((EPOCHSECONDS - start)) s later, p99 of others $(ratio "$among" "$alone") times"
stop stalled

# ---- Everybody at once

cursor=$(curl -sN -m 2 "${stream[live]}" -H "$(header speaker)" | sed -n '/^id: /{s///p;q}') || true
"$limits" publish "${publish[live]}" 50 0 --header "$(header speaker)" --json "$template" >/dev/null 2>error || die "the load failed: $(<error)"
kill -KILL -- "-${process[live]}"
wait "${process[live]}" 2>/dev/null || true
start_live
before=${EPOCHREALTIME/./}
heard=$("$limits" listen "${stream[live]}?since=$cursor" "$many" --events 50 --event message.created --header "$(header speaker)" 2>error) ||
    die "the load failed: $(<error)"
took=$((${EPOCHREALTIME/./} - before))
[[ $(field missing) == 0 && $(field doubled) == 0 ]] || die "not everything was heard once: $heard"
row "$(number "$many") listeners return after a kill, each with its cursor, 50 events behind" 'all caught up in 10 s' "$(milliseconds "$took")"
launch listeners "$limits" listen "${stream[live]}" "$many" --header "$(header speaker)"
until_listening "$many"
before=${EPOCHREALTIME/./}
kill -TERM "${process[live]}"
wait "${process[live]}" || die "the server did not end well"
row "SIGTERM with $(number "$many") streams" 'exit within 1 s' "$(milliseconds "$((${EPOCHREALTIME/./} - before))")"
unset "background[${process[live]}]"
stop listeners
rm -f live.db live.db-*

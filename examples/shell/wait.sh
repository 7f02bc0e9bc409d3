#!/bin/sh
# Asks in a conversation whether to go on, and waits for the answer: for CI, with `tidings watch`.
# In a real pipeline TIDINGS_DB names your database, and somebody else answers.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TIDINGS_DB="$folder/ci.db"
for name in ci alice; do tidings user create "$name" --no-password --quiet >/dev/null; done
tidings conversation create alice --name builds --as ci --quiet >/dev/null

# The position before the question: no answer comes too early.
tidings watch --as ci --count 0 --cursor-file "$folder/position"
tidings message send builds 'Build 7 is ready. Shall I deploy it, @alice?' --as ci --quiet >/dev/null

# Somebody answers, sooner or later.
(sleep 1 && tidings message send builds 'Go!' --as alice --quiet >/dev/null) &

# The question itself is the first message, the answer the second.
if tidings watch --as ci --conversation builds --event message.created --cursor-file "$folder/position" \
    --count 2 --timeout 30s --quiet -o jsonl >"$folder/heard"; then
    tail -n 1 "$folder/heard" | jq -r '.actor.username + ": " + .message.content'
else
    echo "Nobody answered in time." >&2
    exit 1
fi
wait

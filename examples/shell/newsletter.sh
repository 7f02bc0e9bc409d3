#!/bin/sh
# Makes up a company's chat, sends everybody a message, checks that it has arrived, and leaves nothing behind.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Without these two, a signal would end the script before the folder is gone.
trap 'exit 130' INT
trap 'exit 143' TERM

# From here on every command means this database. With the clock and the seed frozen each run gives the same.
export TIDINGS_DB="$folder/chat.db" TIDINGS_NOW=2026-01-01T09:00:00Z TIDINGS_SEED=7

tidings data seed --users 20 --conversations 8 --messages 500 --quiet >/dev/null
tidings user create news --first-name News --no-password --quiet >/dev/null

# One message for each; --idempotency-key keeps a second run from sending it again.
tidings user list --fields username --no-header -o tsv | while read -r user; do
    [ "$user" = news ] ||
        tidings message send --to "$user" 'The office is closed on Friday.' --as news --idempotency-key "friday-$user" \
            --quiet >/dev/null
done

# Programs read JSON: a list is always an array.
unread=$(tidings message list --from news --limit 100 -o json | jq 'map(select(.read | not)) | length')
[ "$unread" -eq 20 ] || { echo "newsletter: $unread of 20 messages wait to be read" >&2; exit 1; }

# What was meant for nobody is an error with a code of its own (3: not found).
code=0
tidings message send --to nobody 'Hello?' --as news 2>/dev/null || code=$?
[ "$code" -eq 3 ]

tidings db check --quiet
echo "$unread messages wait to be read"

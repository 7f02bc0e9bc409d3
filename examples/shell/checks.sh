#!/bin/sh
# Checks what a client may rely on, on a REST server of its own: each check finds the same state, and nothing is left behind.
set -eu

folder=$(mktemp -d)
server=
trap 'if [ "$server" ]; then kill "$server" && wait "$server"; fi; rm -rf "$folder"' EXIT
# Without these two, a signal would end the script before the folder is gone.
trap 'exit 130' INT
trap 'exit 143' TERM

cat >"$folder/world.yaml" <<'WORLD'
- {type: user, username: alice}
- {type: user, username: bob}
- {type: conversation, name: support, creator: alice, participants: [alice, bob]}
- {type: message, key: hello, conversation: support, sender: alice, content: 'Hello, everybody.'}
WORLD

# It says one line of JSON once it listens: where, and a token for each of these users.
mkfifo "$folder/ready"
tidings serve --ephemeral --fixture "$folder/world.yaml" --token-for alice,bob --bind 127.0.0.1:0 --ready-json --quiet \
    >"$folder/ready" &
server=$!
ready=$(head -n 1 "$folder/ready")
url=$(echo "$ready" | jq -r .url)
alice=$(echo "$ready" | jq -r .tokens.alice)
bob=$(echo "$ready" | jq -r .tokens.bob)

# ask TOKEN METHOD PATH [BODY]: what the server answers
ask() {
    curl --silent --request "$2" --header "Authorization: Bearer $1" --header 'Content-Type: application/json' \
        ${4:+--data "$4"} "$url$3"
}

support=$(ask "$alice" GET /api/conversations/ | jq -r '.results[0].conversation_id')
messages=/api/conversations/$support/messages/
hello=/api/messages/$(ask "$alice" GET "$messages" | jq -r '.results[0].message_id')/
# What was done so far is what every check begins with.
ask "$alice" POST "$messages" '{"content": "What may we do for you?"}' >/dev/null
curl --silent --request POST --header "Tidings-Test: 1" "$url/test/checkpoint"

whoever_is_mentioned_is_told_so() {
    ask "$alice" POST "$messages" '{"content": "Lunch, @bob?"}' >/dev/null &&
        ask "$bob" GET '/api/notifications/?is_read=false' | jq --exit-status '.results[0].kind == "mention"'
}
an_edit_keeps_what_was_said_before() {
    ask "$alice" PATCH "$hello" '{"content": "Hello, Bob."}' >/dev/null &&
        ask "$bob" GET "${hello}history/" | jq --exit-status '[.results[].content] == ["Hello, everybody."]'
}
nobody_edits_what_others_said() {
    ask "$bob" PATCH "$hello" '{"content": "Bye."}' | jq --exit-status '.code == "forbidden"'
}
a_deleted_account_takes_its_messages_along() {
    ask "$alice" DELETE /api/user/delete/ &&
        ask "$bob" GET "$messages" | jq --exit-status '.count == 0'
}

failed=0
for check in whoever_is_mentioned_is_told_so an_edit_keeps_what_was_said_before nobody_edits_what_others_said \
    a_deleted_account_takes_its_messages_along; do
    # A millisecond, however much the check before has done
    curl --silent --request POST --header "Tidings-Test: 1" "$url/test/rollback"
    if "$check" >/dev/null; then
        echo "ok: $check"
    else
        echo "failed: $check" >&2
        failed=1
    fi
done
exit "$failed"

#!/bin/sh
# Shows a desktop notification for each message that others write to you: desktop.sh USER [OPTIONS OF WATCH]
# Needs jq and notify-send (libnotify). The position is kept, so that nothing is missed while it does not run.
set -eu

TIDINGS_AS=$1
export TIDINGS_AS
shift
state=${XDG_STATE_HOME:-$HOME/.local/state}/tidings
mkdir -p "$state"

exec tidings watch --event message.created --cursor-file "$state/$TIDINGS_AS.cursor" --keep-going --exec '
    event=$(cat)
    get() { printf %s "$event" | jq -r "$1"; }
    # Also told: that the position is of another database. And nobody needs to hear what they wrote themselves.
    [ "$(get .event)" = message.created ] && [ "$(get .actor.username)" != "$TIDINGS_AS" ] || exit 0
    notify-send -- "$(get .actor.username)" "$(get .message.content)"
' "$@"

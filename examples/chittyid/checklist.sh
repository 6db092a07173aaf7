#!/bin/sh
# The deployment checklist of ChittyID: health, one id, a hundred at the same time, the gateway's own
# view. It needs curl, and a server with an authority and a gateway, such as
#
#   printf '[chittyid.authority]\n[chittyid.gateway]\n' > mainstay.toml
#   mainstay serve
#
# usage: checklist.sh [http://127.0.0.1:7180]
# CHITTY_ID_TOKEN, when it is set, is the key that is shown.
# exit code: 0 everything is as it should be, 1 something is not

set -u
base=${1:-http://127.0.0.1:7180}
run=$$-$(date +%s)
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
failed=0

say() {
    printf '%s %s\n' "$1" "$2"
    [ "$1" = ok ] || failed=1
}

# Asks, keeps the body in $folder/$1, and writes the status.
ask() {
    into=$folder/$1
    shift
    if [ -n "${CHITTY_ID_TOKEN:-}" ]; then
        # Not an argument: others on this machine could read it.
        printf 'header = "Authorization: Bearer %s"\n' "$(printf '%s' "$CHITTY_ID_TOKEN" | sed 's/["\\]/\\&/g')" |
            curl -s --max-time 30 -o "$into" -w '%{http_code}' --config - "$@"
    else
        curl -s --max-time 30 -o "$into" -w '%{http_code}' "$@"
    fi
}

# Mints one id through the gateway, with a metadata of its own. An authority gives each key a hundred a
# minute, and this asks for one more: curl waits as long as it is told, and asks again under the same key.
mint() {
    ask "mint.$1" -X POST "$base/api/id/generate" -H 'Content-Type: application/json' \
        --retry 100 --retry-max-time 90 -H "Idempotency-Key: checklist-$run-$1" \
        -d "{\"entity\":\"INFO\",\"metadata\":{\"test\":$1}}" > "$folder/status.$1"
}

ids() {
    sed -n 's/.*"chittyId":"\([^"]*\)".*/\1/p' "$folder"/mint.*
}

status=$(ask health "$base/health")
[ "$status" = 200 ] && say ok "health answers 200" || say FAILED "health answers $status"

mint 0
if [ "$(cat "$folder/status.0")" = 200 ]; then
    say ok "one id: $(ids)"
else
    say FAILED "one id: $(cat "$folder/status.0") $(cat "$folder/mint.0" 2>/dev/null)"
fi

number=1
while [ "$number" -le 100 ]; do
    mint "$number" &
    number=$((number + 1))
done
wait
minted=$(for status in "$folder"/status.*; do cat "$status"; echo; done | grep -c '^200$')
unique=$(ids | sort -u | wc -l)
if [ "$minted" -eq 101 ] && [ "$unique" -eq 101 ]; then
    say ok "100 at the same time: all minted, all different"
else
    say FAILED "100 at the same time: $minted of 101 minted, $unique different"
fi

id=$(ids | head -n 1)
ask validate "$base/api/id/validate/$id" > /dev/null
grep -q '"valid":true' "$folder/validate" && say ok "$id is valid" || say FAILED "$id: $(cat "$folder/validate")"

ask gateway "$base/api/id/health" > /dev/null
for part in '"state":"CONNECTED"' '"isHealthy":true' '"state":"CLOSED"' '"mode":"pipeline-only"'; do
    grep -q "$part" "$folder/gateway" && say ok "the gateway says $part" ||
        say FAILED "the gateway does not say $part: $(cat "$folder/gateway")"
done

exit "$failed"

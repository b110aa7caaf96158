# What the scripts of this folder share: a server of their own, requests to it, and checks.
#
# IMAGE_SERVER and MAKE_IMAGE are programs, IMAGE_SERVER_OPTIONS words for every server.
set -euo pipefail
: "${IMAGE_SERVER:?}" "${MAKE_IMAGE:?}"

work=$(mktemp -d)
server=
failures=0

finish() {
    local status=$?
    if [[ -n $server ]]; then
        kill -KILL "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if ((status != 0)) && [[ -s $work/errors ]]; then
        echo "The server said:"
        tail -n 20 "$work/errors"
    fi
    rm -rf "$work"
    ((status == 0)) || exit "$status"
}
trap finish EXIT

# is <what> <actual> <expected>: counts a failure if they differ.
is() {
    if [[ $2 == "$3" ]]; then
        echo "ok: $1"
    else
        echo "FAILED: $1: $2, expected $3"
        failures=$((failures + 1))
    fi
}

# matches <what> <actual> <regular expression>
matches() {
    if [[ $2 =~ $3 ]]; then
        echo "ok: $1"
    else
        echo "FAILED: $1: $2, expected something like $3"
        failures=$((failures + 1))
    fi
}

# eventually <command>...: asks until it succeeds; ends the script if it does not in 20 seconds.
eventually() {
    local end=$((SECONDS + 20))
    until "$@"; do
        if ((SECONDS >= end)); then
            echo "FAILED: never: $*"
            exit 1
        fi
        sleep 0.02
    done
}

has_address() {
    is_running "$server" || { echo "FAILED: the server has not started"; exit 1; }
    url=$(sed -n 's/^Listening on //p' "$work/log")
    [[ -n $url ]]
}

# start_server [OPTION]...: its process is $server, its address $url.
start_server() {
    # shellcheck disable=SC2086
    "$IMAGE_SERVER" --port 0 --test-hooks ${IMAGE_SERVER_OPTIONS:-} "$@" \
        >"$work/log" 2>"$work/errors" &
    server=$!
    eventually has_address
}

# stop_server <signal>: leaves its exit status in $server_status.
stop_server() {
    local workers
    workers=$(children)
    kill "-$1" "$server"
    server_status=0
    wait "$server" || server_status=$?
    server=
    for worker in $workers; do
        is "worker $worker is gone" "$(is_running "$worker" && echo there || echo gone)" gone
    done
}

is_running() { kill -0 "$1" 2>/dev/null && [[ $(process_state "$1") != Z ]]; }
process_state() { sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null || true; }
children() { cat /proc/"$server"/task/*/children 2>/dev/null || true; }
# The least of several looks: a connection that has just ended may still be there at the first.
descriptors() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        find "/proc/$server/fd" -mindepth 1 | wc -l
        sleep 0.02
    done | sort --numeric-sort | head -n 1
}
resident() { sed -n 's/^VmRSS:[[:space:]]*//p' "/proc/$server/status"; }

# post <file> [QUERY] [CURL OPTION]...: prints the status; headers and body are in files.
post() {
    curl --silent --max-time 60 --output "$work/body" --dump-header "$work/head" \
        --write-out '%{http_code}' --data-binary "@$1" "${@:3}" "$url/thumbnail?${2:-size=64}"
}
order() { printf 'image-server-test:%s' "$1"; }
# An upload in the file `held`, which keeps its worker until `release`.
make_held() { touch "$work/hold"; order "hold $work/hold" >"$work/held"; }
release() { rm "$work/hold"; }
header() { sed -n "s/^$1: \(.*\)\r$/\1/Ip" "$work/head"; }
error_code() { sed -n 's/^{"error":"\([a-z_]*\)","message":".*"}$/\1/p' "$work/body"; }
image_kind() {
    case $(head -c 4 "$1" | od -An -tx1 | tr -d ' ') in
        89504e47) echo png ;;
        ffd8ff*) echo jpeg ;;
        *) echo none ;;
    esac
}

# metric <name with labels>: its value, or 0.
metric() {
    curl --silent --max-time 10 "$url/metrics" |
        awk -v name="$1" 'index($0, name " ") == 1 { print $NF; found = 1 } END { if (!found) print 0 }'
}
metric_is() { [[ $(metric "$1") == "$2" ]]; }
processes() { echo "cofutures_pool_$1{pool=\"processes\"}"; }

# done_testing: the script's status.
done_testing() {
    ((failures == 0)) || { echo "$failures checks failed"; exit 1; }
}

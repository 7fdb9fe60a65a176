# What the scripts that stress a mount have in common. To be sourced; the script has set `tagmemd`.
#
#     start_device OPTION…    mounts at $MNT, with the daemon in the foreground of its own process, $daemon
#     slow_thread             gives one of the threads that serve requests what the others leave of the processors
#     stop_device             unmounts; fails if the daemon does not end, or says what it should not

work=$(mktemp -d)
MNT=$work/mnt
mkdir "$MNT"

clean_up() {
    mountpoint -q "$MNT" && fusermount3 -u -z "$MNT"
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

start_device() {
    "$tagmemd" "$MNT" -f "$@" 2>"$work/messages" &
    daemon=$!
    for _ in $(seq 200); do
        mountpoint -q "$MNT" && return
        sleep 0.1
    done
    echo "not mounted: $(<"$work/messages")" >&2
    exit 1
}

# Those that serve have the daemon's name, as its first thread, which waits for them.
slow_thread() {
    local task
    stat "$MNT" >"$work/stat" || return
    for task in "/proc/$daemon/task"/*; do
        if [ "$(<"$task/comm")" = "$(<"/proc/$daemon/comm")" ] && [ "${task##*/}" != "$daemon" ]; then
            chrt --idle --pid 0 "${task##*/}"
            return
        fi
    done
    echo "no thread serves requests" >&2
    return 1
}

stop_device() {
    fusermount3 -u -z "$MNT"
    for _ in $(seq 100); do
        [ -e "/proc/$daemon" ] || break
        sleep 0.1
    done
    if [ -e "/proc/$daemon" ]; then
        echo "the daemon does not end after umount" >&2
        kill -KILL "$daemon"
        return 1
    fi
    if grep -q -E '(WARNING|ERROR): (Thread|Address|Leak)Sanitizer|Fatal error|Assertion failed' "$work/messages"; then
        cat "$work/messages" >&2
        return 1
    fi
}

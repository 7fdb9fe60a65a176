import Glibc

/// CLOCK_MONOTONIC.
func monotonicNanoseconds() -> Int {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// CLOCK_REALTIME: what files say when they were changed.
func currentTime() -> timespec {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return time
}

/// CLOCK_REALTIME_COARSE: the same, as of the last tick, for places that are passed a million times a second.
func coarseTime() -> timespec {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME_COARSE, &time)
    return time
}

import Glibc

/// What a system call failed with.
struct Errno: Error, Equatable, CustomStringConvertible {
    let code: Int32

    init(_ code: Int32) { self.code = code }

    static var current: Errno { Errno(errno) }

    /// What strerror(3) says.
    var description: String { "errno \(code) (\(unsafe String(cString: strerror(code))))" }
}

/// Calls until it is not interrupted, and throws what it failed with.
@discardableResult
func check<Number: SignedInteger>(retries: Bool = true, _ call: () -> Number) throws(Errno) -> Number {
    while true {
        let result = call()
        if result >= 0 { return result }
        if retries, errno == EINTR { continue }
        throw .current
    }
}

/// Seconds of the monotonic clock.
func now() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Asks again and again until it holds, `seconds` at most. Returns whether it did.
func eventually(within seconds: Double = 5, _ condition: () throws -> Bool) rethrows -> Bool {
    let limit = now() + seconds
    while true {
        if try condition() { return true }
        if now() > limit { return false }
        usleep(2000)
    }
}

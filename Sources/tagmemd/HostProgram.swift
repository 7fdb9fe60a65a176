import CGuest
import Glibc
import TagMemFS

/// A program of the host that is run for what it writes.
enum HostProgram {
    /// Starts a program that this one is to wait for, and to end like: see `cguest_start`. Once in the life of a process.
    ///
    /// - Parameter descriptors: what it inherits beside the standard streams.
    /// - Throws: `Failure` if it cannot be run.
    static func start(_ words: [String], keeping descriptors: [Int32]) throws -> pid_t {
        try unsafe start(words) { words in
            unsafe descriptors.withUnsafeBufferPointer {
                unsafe cguest_start(words, $0.baseAddress, Int32($0.count))
            }
        }
    }

    /// Starts a program that serves this one: see `cguest_start_beside`.
    ///
    /// - Throws: `Failure` if it cannot be run.
    static func startBeside(_ words: [String]) throws -> pid_t {
        try unsafe start(words) { unsafe cguest_start_beside($0) }
    }

    private static func start(
        _ words: [String], by start: (UnsafePointer<UnsafePointer<CChar>?>) -> pid_t
    ) throws -> pid_t {
        // SAFETY: the words are read before the call returns.
        let process = unsafe withCStrings(words) {
            unsafe start(UnsafeRawPointer($0).assumingMemoryBound(to: UnsafePointer<CChar>?.self))
        }
        guard process > 0 else { throw Failure("cannot run \(words[0]): \(errorText(-process))") }
        return process
    }

    /// What a program writes to its standard output, `limit` bytes at most.
    ///
    /// - Parameters:
    ///   - input: an open file, or nil where there is nothing to read.
    ///   - isQuiet: whether its errors are not shown.
    /// - Throws: `Failure` if it cannot be run, fails, writes more, or is not done in time.
    static func output(
        of words: [String], input: Int32? = nil, isQuiet: Bool = false, limit: Int, seconds: Int = 30
    ) throws -> [UInt8] {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw Failure("no pipe: \(errorText(errno))") }
        defer { close(ends[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        if let input {
            unsafe posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        } else {
            unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        }
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        if isQuiet {
            unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        }
        // A group of its own, so that what it starts ends with it.
        var attributes = posix_spawnattr_t()
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
        var process = pid_t()
        let error = unsafe withCStrings(words) {
            unsafe posix_spawnp(&process, words[0], &actions, &attributes, $0, environ)
        }
        close(ends[1])
        guard error == 0 else { throw Failure("cannot run \(words[0]): \(errorText(error))") }
        let bytes: [UInt8]
        do {
            bytes = try read(ends[0], words[0], limit: limit, seconds: seconds)
        } catch {
            kill(-process, SIGKILL)
            _ = cguest_wait(process)
            throw error
        }
        guard cguest_wait(process) == 0 else { throw Failure("\(words[0]) failed") }
        return bytes
    }

    private static func read(
        _ descriptor: Int32, _ name: String, limit: Int, seconds: Int
    ) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let end = ContinuousClock.now + .seconds(seconds)
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let left = (end - .now) / .milliseconds(1)
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = left > 0 ? unsafe Glibc.poll(&poll, 1, Int32(left)) : 0
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else { throw Failure("\(name) is not done in \(seconds) s") }
            // SAFETY: `read` writes at most the bytes of the buffer.
            let count = unsafe part.withUnsafeMutableBytes {
                unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure("\(name): \(errorText(errno))") }
            if count == 0 { return bytes }
            bytes += part[..<count]
            guard bytes.count <= limit else { throw Failure("\(name) writes more than \(limit) bytes") }
        }
    }

    /// Does something that a signal to end is not to interrupt: it ends the process afterwards.
    static func uninterrupted<Result>(_ body: () throws -> Result) rethrows -> Result {
        var held = sigset_t()
        var before = sigset_t()
        unsafe sigemptyset(&held)
        for signal in [SIGINT, SIGQUIT, SIGTERM, SIGHUP] { unsafe sigaddset(&held, signal) }
        unsafe pthread_sigmask(SIG_BLOCK, &held, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        return try body()
    }
}

import Glibc
import Testing

@Suite("A daemon and its guard end their own mount and no other", .needsRoot, .timeLimit(.minutes(3)))
struct OwnMountTests {
    private func mountTemporary(_ path: String) throws {
        try #require(try run("mount", ["-t", "tmpfs", "tmpfs", path]).succeeded)
        _ = try File("\(path)/kept", O_RDWR | O_CREAT)
    }

    private func expectEnd(of pid: pid_t, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(eventually(within: 10) { !isAlive(pid) }, sourceLocation: sourceLocation)
        // Its guard has had its say.
        #expect(
            eventually(within: 10) { (try? self.guards(of: pid).isEmpty) ?? false },
            sourceLocation: sourceLocation)
    }

    private func guards(of pid: pid_t) throws -> [pid_t] {
        try names(in: "/proc").compactMap { pid_t($0) }.filter { candidate in
            guard let text = try? contents(of: "/proc/\(candidate)/stat"), text.contains("(tagmemd-guard)")
            else { return false }
            return isAlive(candidate)
                && text.split(separator: ")").last?.split(separator: " ").dropFirst().first == "\(pid)"
        }
    }

    @Test("What covers the mount stays", arguments: [SIGTERM, SIGKILL]) func covered(signal: Int32) throws {
        try withMountpoint { path in
            try mountInBackground(path)
            let pid = try daemon(at: path)
            try mountTemporary(path)
            kill(pid, signal)
            expectEnd(of: pid)
            #expect(mountTypes(at: path) == ["fuse.tagmemd", "tmpfs"])
            #expect(try names(in: path) == ["kept"])
            // What is left below has no daemon, and can be replaced.
            #expect(detach(path))
            #expect(throws: Errno(ENOTCONN)) { try names(in: path) }
            try mountInBackground(path)
            #expect(mountTypes(at: path) == ["fuse.tagmemd"])
        }
    }

    @Test("What took the mount's place stays", arguments: [SIGTERM, SIGKILL])
    func replaced(signal: Int32) throws {
        try withMountpoint { path in
            try mountInBackground(path)
            let pid = try daemon(at: path)
            let file = try File("\(path)/phys/mem", O_RDONLY)
            #expect(detach(path))
            // The daemon serves who has it open, and another one has the place.
            try mountInBackground(path)
            #expect(try file.read(at: 0x4000_0000, count: 1) == [0])
            kill(pid, signal)
            expectEnd(of: pid)
            #expect(mountTypes(at: path) == ["fuse.tagmemd"])
            #expect(try contents(of: "\(path)/phys/mode") == "sync\n")
            #expect(throws: Errno.self) { try file.read(at: 0x4000_0000, count: 1) }
        }
    }

    /// A test beside that starts a program gives it the directory that this process reads, until it runs: it is busy then.
    private func unmount(_ path: String) throws {
        let isUnmounted = eventually(within: 2) { unsafe umount2(path, 0) == 0 || errno != EBUSY }
        try #require(isUnmounted, "\(path) stays busy")
        #expect(mountTypes(at: path).isEmpty)
    }

    @Test("Mounted and unmounted 60 times, with nothing lost") func again() throws {
        try withMountpoint { path in
            for round in 0..<60 {
                let outcome = try run(daemonProgram, ["--size", "1M", path], timeout: 20)
                try #require(outcome.succeeded && outcome.errors == "", "round \(round): \(outcome)")
                try unmount(path)
                // The guard of the daemon before ends now.
                try mountTemporary(path)
                usleep(5000)
                #expect(try names(in: path) == ["kept"], "round \(round)")
                try unmount(path)
            }
        }
    }
}

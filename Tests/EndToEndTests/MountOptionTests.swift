import Glibc
import Testing

@Suite("Mount options and the source, as the kernel gets them", .timeLimit(.minutes(2)))
struct MountOptionTests {
    /// Source, mount options of /proc/mounts.
    private func mounted(at path: String) throws -> (source: String, options: [String]) {
        let lines = try contents(of: "/proc/self/mounts").split(separator: "\n")
        let fields = try #require(
            lines.map { $0.split(separator: " ") }.last { $0.count > 3 && $0[1] == path })
        #expect(fields[2] == "fuse.tagmemd")
        return (String(fields[0]), fields[3].split(separator: ",").map(String.init))
    }

    @Test(
        "The source is a name, whatever is in it",
        arguments: [
            ("x,allow_other", "x,allow_other"), ("x\\,allow_other", "x\\134,allow_other"), (",", ","),
            ("\\", "\\134"), ("a\\054allow_other", "a\\134054allow_other"),
            ("a b\tc\nd", "a\\040b\\011c\\012d"),
            ("a\\", "a\\134"), ("fsname=b,subtype=c", "fsname=b,subtype=c"), ("%s%n", "%s%n"), ("é", "é"),
        ])
    func source(_ source: String, _ shown: String) throws {
        try withMountpoint { path in
            try mountInBackground(path, [source])
            let found = try mounted(at: path)
            #expect(found.source == shown)
            #expect(!found.options.contains("allow_other"))
        }
    }

    @Test(
        "Options are in force",
        arguments: [
            ("rw", ["rw", "nosuid", "nodev"]), ("ro", ["ro"]), ("ro,rw", ["rw"]), ("noexec", ["noexec"]),
            ("noexec,exec", ["!noexec"]), ("noatime", ["noatime"]), ("noatime,atime", ["!noatime"]),
            ("sync", ["sync"]), ("sync,async", ["!sync"]), ("dirsync", ["dirsync"]),
            ("default_permissions", ["default_permissions"]), ("relatime,strictatime,norelatime", ["rw"]),
            ("nosuid,nodev", ["nosuid", "nodev"]),
        ] as [(String, [String])])
    func inForce(_ given: String, _ expected: [String]) throws {
        try withMountpoint { path in
            try mountInBackground(path, ["-o", given])
            let options = try mounted(at: path).options
            for option in expected {
                if option.hasPrefix("!") {
                    #expect(!options.contains(String(option.dropFirst())), "\(options)")
                } else {
                    #expect(options.contains(option), "\(options)")
                }
            }
        }
    }

    @Test("Those of root", .needsRoot, arguments: ["suid,dev", "allow_other", "allow_root", "auto_unmount"])
    func ofRoot(_ given: String) throws {
        try withMountpoint { path in
            try mountInBackground(path, ["-o", given])
            let options = try mounted(at: path).options
            switch given {
            case "suid,dev": #expect(!options.contains("nosuid") && !options.contains("nodev"))
            case "allow_other", "allow_root": #expect(options.contains("allow_other"))
            default:
                // A daemon that dies takes the mount with it.
                kill(try daemon(at: path), SIGKILL)
                #expect(eventually { !isMounted(path) })
            }
        }
    }

    @Test(
        "What cannot be had is refused by name, and nothing is mounted",
        arguments: ["max_read=65536", "blkdev", "fd=0", "remount,size=2G", "kernel_cache", "modules=subdir"])
    func refused(_ given: String) throws {
        try withMountpoint { path in
            let outcome = try run(daemonProgram, ["tagmem", path, "-o", given], timeout: 10)
            #expect(outcome.ending == .exited(64) && outcome.errorLines.count == 1, "\(outcome.errors)")
            let name = given.split(whereSeparator: { "=,".contains($0) })[0]
            #expect(outcome.errors.hasPrefix("tagmemd: mount option '\(name)': "), "\(outcome.errors)")
            #expect(!isMounted(path))
        }
    }

    @Test("mount -o remount says what it cannot do, and changes nothing", .needsRoot) func remount() throws {
        try withMountpoint { path in
            try mountInBackground(path)
            let script = """
                mount -t tmpfs tmpfs /usr/local/bin
                ln -s "$DAEMON" /usr/local/bin/tagmemd
                mount -t fuse.tagmemd -o remount,size=2G tagmem "$MNT"
                """
            let outcome = try run(
                "unshare", ["-m", "sh", "-c", script], environment: ["DAEMON": daemonProgram, "MNT": path])
            #expect(outcome.ending != .exited(0))
            #expect(outcome.errors.contains("a mounted device cannot be changed"), "\(outcome.errors)")
            #expect(mountTypes(at: path) == ["fuse.tagmemd"])
            #expect(try contents(of: "\(path)/meminfo").contains(" 1024 kB"))
        }
    }

    // MARK: The command returns when the mount answers

    @Test("A daemon that ends before its mount answers is a failure with a word") func endsEarly() throws {
        try withMountpoint { path in
            // Unmounted as soon as it is there, again and again: sometimes before it has answered.
            var failures = 0
            for _ in 0..<20 {
                let program = try Program(daemonProgram, ["--size", "1M", path])
                while program.poll() == nil, unsafe umount2(path, Int32(MNT_DETACH)) != 0 { usleep(100) }
                let outcome = program.finish(within: 20)
                if outcome.succeeded {
                    #expect(outcome.errors == "")
                } else {
                    failures += 1
                    #expect(
                        outcome.ending == .exited(1) && outcome.errorLines.count == 1, "\(outcome.errors)")
                }
                #expect(eventually(within: 20) { (try? processes(naming: path).isEmpty) ?? false })
                while isMounted(path), detach(path) {}
            }
            #expect(failures > 0 || geteuid() != 0)
        }
    }

    @Test("-d traces the requests on stderr, in the foreground") func trace() throws {
        try withMountpoint { path in
            let program = try Program(daemonProgram, ["-d", "--size", "1M", path])
            #expect(eventually(within: 10) { (try? contents(of: "\(path)/phys/mode")) == "sync\n" })
            #expect(program.poll() == nil)
            for word in ["FUSE library version", "INIT: 7.", "LOOKUP", "OPEN", "READ"] {
                #expect(eventually { program.errors.contains(word) }, "\(word)")
            }
            #expect(program.output == "")
            program.signal(SIGTERM)
            #expect(program.wait(seconds: 10) == .exited(0))
            #expect(!isMounted(path))
        }
    }
}

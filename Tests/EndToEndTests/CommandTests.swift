import Glibc
import Testing

@Suite("The command: what it accepts and refuses", .timeLimit(.minutes(2)))
struct CommandTests {
    @Test("--help says everything, --version the version") func help() throws {
        let help = try run(daemonProgram, ["--help"])
        #expect(help.succeeded && help.errors == "")
        for word in [
            "--size", "--base", "-o", "-f", "-d", "--version", "--help", "allow_other", "page_cache", "fstab",
            "mount -t fuse.tagmemd", "fusermount3 -u", "SIGTERM", "128K", "1G", "0x40000000",
        ] {
            #expect(help.output.contains(word), "\(word)")
        }
        #expect(try run(daemonProgram, ["-h"]).output == help.output)
        let version = try run(daemonProgram, ["--version"])
        #expect(version.succeeded && version.errors == "")
        #expect(version.line.wholeMatch(of: /\d+\.\d+\.\d+/) != nil)
    }

    /// MNT stands for an empty directory.
    @Test(
        "What is wrong is said in one line, and nothing is mounted",
        arguments: [
            ([], 64), (["a", "b", "MNT"], 64), (["--size", "0", "MNT"], 64), (["--size", "-5", "MNT"], 64),
            (["--size", "big", "MNT"], 64), (["--size", "1X", "MNT"], 64), (["--size", "", "MNT"], 64),
            (["--size"], 64), (["--size", "99999999T", "MNT"], 64), (["--size", "16384T", "MNT"], 1),
            (["--base", "0x1001", "MNT"], 1), (["--base", "4K", "MNT"], 1),
            (["--base", "0x10000000000000", "MNT"], 1), (["--base", "nowhere", "MNT"], 64),
            (["--frobnicate", "MNT"], 64), (["-x", "MNT"], 64), (["-o", "frobnicate", "MNT"], 64),
            (["-o", "size", "MNT"], 64), (["-o", "size=", "MNT"], 64), (["-o", "size=x", "MNT"], 64),
            (["-o", "size=0", "MNT"], 64), (["-o", "base=1", "MNT"], 1), (["-o", "page_cache=1", "MNT"], 64),
            (["-o", "MNT"], 64), (["MNT/nothing"], 1), (["MNT/nothing/at/all"], 1), (["/dev/null"], 1),
            (["/proc/self/exe"], 1), ([""], 1),
        ] as [([String], Int32)])
    func refused(arguments: [String], status: Int32) throws {
        try withMountpoint { path in
            for flags in [["-f"], []] {
                let given = arguments.map { word in
                    word.hasPrefix("MNT") ? path + word.dropFirst(3) : word
                }
                let outcome = try run(daemonProgram, flags + given, timeout: 10)
                #expect(outcome.ending == .exited(status), "\(outcome.errors)")
                #expect(outcome.output == "")
                #expect(outcome.errorLines.count == 1, "\(outcome.errors)")
                #expect(outcome.errors.hasPrefix("tagmemd: ") && outcome.errors.hasSuffix("\n"))
                #expect(!isMounted(path))
            }
        }
    }

    @Test("A size is rounded up, and that is said") func rounding() throws {
        try withMountpoint { path in
            let outcome = try run(daemonProgram, ["--size", "1000000", path], timeout: 10)
            #expect(outcome.succeeded)
            #expect(
                outcome.errors
                    == "tagmemd: size 1000000 is rounded up to 1048576, whole Tag Blocks of 128 KiB\n")
            #expect(try contents(of: "\(path)/meminfo").contains(" 1024 kB"))
        }
    }

    @Test("Size and base, as options and after -o") func sizeAndBase() throws {
        for arguments in [
            ["--size", "256K", "--base", "0x8000000"], ["-o", "size=256K,base=128M"],
            ["-o", "size=256K", "-o", "base=0x8000000,ro"],
            ["-o", "size=1G,base=0", "--size", "0x40000", "--base", "131072K"],
        ] {
            try withMountpoint { path in
                let outcome = try run(daemonProgram, arguments + ["name", path], timeout: 10)
                #expect(outcome.succeeded && outcome.errors == "", "\(outcome.errors)")
                #expect(try status(of: "\(path)/phys/mem").st_size == 0x800_0000 + 0x42000)
                // Nobody has used the memory; the first hole is before it, all the same.
                #expect(throws: Errno(ENXIO)) { try File("\(path)/phys/mem").seek(0, .data) }
                #expect(try File("\(path)/phys/mem").read(at: 0x800_0000, count: 1) == [0])
                #expect(try File("\(path)/phys/mem").seek(0, .data) == 0x800_0000)
                let mounts = try contents(of: "/proc/mounts").split(separator: "\n")
                #expect(mounts.contains { $0.hasPrefix("name \(path) fuse.tagmemd ") })
                if arguments.last?.hasSuffix("ro") == true {
                    #expect(throws: Errno(EROFS)) { try File("\(path)/phys/mem", O_RDWR) }
                }
            }
        }
    }

    // MARK: Mount points

    @Test("A mount that a killed daemon left is replaced") func staleMount() throws {
        try withMountpoint { path in
            for round in 0..<3 {
                try mountInBackground(path)
                #expect(mountTypes(at: path) == ["fuse.tagmemd"], "round \(round)")
                // Somebody uses it, so that the mount cannot go with its daemon.
                let user = try File("\(path)/phys/mode")
                kill(try daemon(at: path), SIGKILL)
                let isStale = eventually {
                    do throws(Errno) {
                        _ = try File("\(path)/vmstat")
                        return false
                    } catch {
                        return error == Errno(ENOTCONN)
                    }
                }
                try #require(isStale && isMounted(path))
                // The daemon before is not to be taken for the next one.
                #expect(eventually { (try? processes(naming: path).isEmpty) ?? false })
                #expect(throws: Errno(ENOTCONN)) { try user.read(at: 0, count: 1) }
            }
            // Also when it is named as a link or with slashes.
            try mountInBackground("\(path)//")
            #expect(mountTypes(at: path) == ["fuse.tagmemd"])
        }
    }

    @Test("A directory that something is mounted on is refused", .needsRoot) func occupied() throws {
        try withMountpoint { path in
            try mountInBackground(path)
            let again = try run(daemonProgram, [path], timeout: 10)
            #expect(again.ending == .exited(1) && again.errorLines.count == 1)
            #expect(again.errors.contains("a tagmemd is mounted there already"))
            #expect(mountTypes(at: path) == ["fuse.tagmemd"])
            #expect(try contents(of: "\(path)/phys/mode") == "sync\n")
        }
        try withMountpoint { path in
            let mounted = try run("mount", ["-t", "tmpfs", "tmpfs", path])
            try #require(mounted.succeeded, "\(mounted.errors)")
            let refused = try run(daemonProgram, [path], timeout: 10)
            #expect(refused.ending == .exited(1) && refused.errorLines.count == 1)
            #expect(refused.errors.contains("tmpfs"))
            #expect(mountTypes(at: path) == ["tmpfs"])
        }
    }

    @Test("mount(8) mounts it", .needsRoot) func mountCommand() throws {
        try withMountpoint { path in
            let outcome = try run(
                "unshare",
                [
                    "-m", "sh", "-c",
                    """
                    set -e
                    mount -t tmpfs tmpfs /usr/local/bin
                    ln -s "$DAEMON" /usr/local/bin/tagmemd
                    mount -t fuse.tagmemd tagmem "$MNT" -o size=4M,base=0x80000000,noatime
                    grep -o "^tagmem $MNT fuse.tagmemd" /proc/mounts
                    cat "$MNT/phys/mode"
                    stat -c %s "$MNT/phys/mem"
                    umount "$MNT"
                    """,
                ], environment: ["DAEMON": daemonProgram, "MNT": path])
            #expect(outcome.succeeded, "\(outcome.errors)")
            #expect(
                outcome.output == "tagmem \(path) fuse.tagmemd\nsync\n\(0x8000_0000 + (4 << 20) / 32 * 33)\n")
        }
    }

    // MARK: Other users

    private static let otherUser = ["--reuid", "65534", "--regid", "65534", "--clear-groups"]

    @Test("Others get nothing without allow_other, and with it what the modes allow", .needsRoot)
    func otherUsers() throws {
        for options in [[], ["allow_other"]] {
            try withDevice(size: "256K", mountOptions: options) { device in
                try check { unsafe chmod(device.mountpoint, 0o755) }
                // A file that everybody may execute.
                func asOther(_ script: String) throws -> Outcome {
                    try run(
                        "setpriv", Self.otherUser + ["sh", "-c", script],
                        environment: ["M": device.mountpoint, "PWD": "/"])
                }
                let list = try asOther("cd / && ls $M")
                if options.isEmpty {
                    #expect(list.ending != .exited(0) && list.errors.contains("Permission denied"))
                    return
                }
                #expect(list.succeeded)
                for name in [
                    "phys/mem", "phys/tags", "phys/tags.hex", "phys/checked", "phys/views/0", "phys/views/f",
                    "faults_pipe",
                ] {
                    let refused = try asOther("cd / && head -c 1 $M/\(name)")
                    #expect(
                        refused.ending == .exited(1) && refused.errors.contains("Permission denied"),
                        "\(name)")
                }
                let mode = try asOther("cd / && echo none > $M/phys/mode")
                #expect(mode.ending != .exited(0) && mode.errors.contains("Permission denied"))
                #expect(try device.mode() == "sync\n")
                // What root has for itself is not to be had by its physical address either.
                let mine = try device.make("tagged/mine", pages: 1, seed: 3)
                let address = try #require(try device.addresses(of: "tagged/mine")[0])
                let stolen = try asOther(
                    "cd / && for f in checked views/0; do dd if=$M/phys/$f bs=1 skip=\(address) count=16; dd if=/etc/hostname of=$M/phys/$f bs=1 seek=\(address) conv=notrunc; done"
                )
                #expect(stolen.output == "" && stolen.errors.split(separator: "\n").count == 4)
                #expect(try mine.firstPageUnlike(3, pages: 1) == nil)
                // Where its owner allows it, it is.
                try check { unsafe chmod(device.path("phys/views/0"), 0o666) }
                let view = try asOther(
                    "cd / && printf abc | dd of=$M/phys/views/0 bs=1 seek=\(device.map.base) conv=notrunc status=none && cat $M/phys/mode"
                )
                #expect(view.line == "sync", "\(view.errors)")
                #expect(try device.memory(at: device.map.base, count: 3) == Array("abc".utf8))
                let changed = try asOther("cd / && chmod 666 $M/phys/mem")
                #expect(changed.ending == .exited(1) && changed.errors.contains("not permitted"))
                try check { unsafe chown(device.path("phys/mem"), 65534, 65534) }
                let owner = try asOther(
                    "cd / && dd if=$M/phys/mem bs=4096 skip=\(device.map.base / 4096) count=1 status=none | head -c 3"
                )
                #expect(owner.output == "abc", "\(owner.errors)")
            }
        }
    }

    @Test("An ordinary user mounts it with fusermount3", .needsRoot) func ordinaryUser() throws {
        try withMountpoint { path in
            let outcome = try run(
                "unshare",
                [
                    "-m", "sh", "-c",
                    """
                    set -e
                    number=$(stat -c '%t %T' /dev/fuse)
                    mount -t tmpfs -o mode=755 tmpfs "$MNT"
                    mkdir "$MNT/mnt"
                    chown 65534:65534 "$MNT/mnt"
                    cp "$DAEMON" "$MNT/tagmemd"
                    mknod -m 666 "$MNT/fuse" c "$((0x${number% *}))" "$((0x${number#* }))"
                    mount --bind "$MNT/fuse" /dev/fuse
                    cd /
                    user="setpriv --reuid 65534 --regid 65534 --clear-groups"
                    $user "$MNT/tagmemd" --size 1M "$MNT/mnt"
                    $user sh -c 'printf xyz | dd of="$MNT/mnt/phys/views/0" bs=1 seek=1073741824 conv=notrunc status=none'
                    $user sh -c 'dd if="$MNT/mnt/phys/mem" bs=4096 skip=262144 count=1 status=none | head -c 3; echo'
                    $user stat -c '%u %g %a' "$MNT/mnt/phys/mem"
                    $user sh -c 'echo async > "$MNT/mnt/phys/mode"; cat "$MNT/mnt/phys/mode"'
                    if ls "$MNT/mnt" 2>/dev/null; then echo "root sees it"; fi
                    $user "$MNT/tagmemd" --size 1M "$MNT/mnt" 2>&1 | sed "s,$MNT,MNT,"
                    $user fusermount3 -u "$MNT/mnt"
                    ls "$MNT/mnt"
                    """,
                ], environment: ["DAEMON": daemonProgram, "MNT": path])
            #expect(outcome.succeeded, "\(outcome.errors)")
            #expect(
                outcome.output == """
                    xyz
                    65534 65534 600
                    async
                    tagmemd: MNT/mnt: a tagmemd is mounted there already

                    """, "\(outcome.errors)")
        }
    }

    // MARK: Memory

    @Test("A device of 64 GiB takes memory as it is written") func residentMemory() throws {
        try withDevice(size: "64G") { device in
            _ = try run("ls", ["-lR", device.mountpoint])
            #expect(try UInt64(status(of: device.path("phys/mem")).st_size) == device.map.end)
            #expect(try device.residentMemory() < 32 << 10)
            let last = device.map.tagBase - 4096
            try device.setTag(0xc, at: last)
            try device.openView(0xc).write([1, 2, 3], at: last)
            #expect(try device.memory(at: last, count: 3) == [1, 2, 3])
            #expect(try device.residentMemory() < 34 << 10)
        }
    }
}

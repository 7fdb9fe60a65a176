import Glibc
import Testing

@Suite("Objects of other users", .needsRoot, .timeLimit(.minutes(2)))
struct ObjectOwnerTests {
    private static func user(_ number: Int) -> [String] {
        ["--reuid", "\(number)", "--regid", "\(number)", "--clear-groups"]
    }

    private func asUser(_ number: Int, _ device: Device, _ script: String) throws -> Outcome {
        try run(
            "setpriv", Self.user(number) + ["sh", "-c", "cd / && umask 022 && " + script],
            environment: ["M": device.mountpoint, "PWD": "/"])
    }

    private func withSharedDevice(_ body: (Device) throws -> Void) throws {
        try withDevice(mountOptions: ["allow_other"]) { device in
            try check { unsafe chmod(device.mountpoint, 0o755) }
            try body(device)
        }
    }

    @Test("Without being let in, others make nothing") func notLetIn() throws {
        try withSharedDevice { device in
            for line in ["mkdir $M/tagged/x", "echo 1 > $M/control/compact", "cat $M/control/pin"] {
                let outcome = try asUser(1000, device, line)
                #expect(
                    outcome.ending != .exited(0) && outcome.errors.contains("Permission denied"), "\(line)")
            }
            try device.make("tagged/mine", pages: 1)
            for line in ["rmdir $M/tagged/mine", "mv $M/tagged/mine $M/tagged/yours"] {
                #expect(try asUser(1000, device, line).ending != .exited(0), "\(line)")
            }
            // The program's side is everyone's.
            let view = try asUser(
                1000, device, "printf abc > $M/tagged/mine/views/0 && cat $M/tagged/mine/pages")
            #expect(view.succeeded && view.output.contains("0x"), "\(view.errors)")
            #expect(try device.open("tagged/mine/mem").read(at: 0, count: 3) == Array("abc".utf8))
        }
    }

    @Test("With modes as of /tmp, everyone has objects of their own") func everyoneTheirOwn() throws {
        try withSharedDevice { device in
            for name in ["tagged", "untagged"] { try check { unsafe chmod(device.path(name), 0o1777) } }
            let made = try asUser(
                1000, device,
                """
                set -e
                mkdir $M/untagged/cache
                printf hello > $M/untagged/cache/mem
                truncate -s 10000 $M/untagged/cache/mem
                mv $M/untagged/cache $M/tagged/cache
                printf 55 | dd of=$M/tagged/cache/tags.hex conv=notrunc status=none
                head -c 5 $M/tagged/cache/mem
                echo async > $M/tagged/cache/mode
                stat -c '%u %g %a' $M/tagged/cache $M/tagged/cache/mem $M/tagged/cache/views/3
                """)
            #expect(made.succeeded, "\(made.errors)")
            #expect(made.output == "hello1000 1000 755\n1000 1000 600\n1000 1000 666\n")
            for line in [
                "rmdir $M/tagged/cache", "mv $M/tagged/cache $M/untagged/cache", "cat $M/tagged/cache/mem",
                "truncate -s 0 $M/tagged/cache/mem", "echo sync > $M/tagged/cache/mode",
                "cat $M/tagged/cache/tags",
            ] {
                let outcome = try asUser(2000, device, line)
                #expect(outcome.ending != .exited(0) && outcome.errors != "", "\(line)")
            }
            #expect(try status(of: device.path("tagged/cache/mem")).st_size == 10000)
            // Who owns it may let others in.
            #expect(try asUser(1000, device, "chmod 644 $M/tagged/cache/mem").succeeded)
            #expect(try asUser(2000, device, "head -c 5 $M/tagged/cache/mem").output == "hello")
            #expect(try asUser(2000, device, "chmod 666 $M/tagged/cache/mem").ending != .exited(0))
            // A new object of that name begins with the modes of a new one.
            #expect(try asUser(1000, device, "chmod 700 $M/tagged/cache && rmdir $M/tagged/cache").succeeded)
            let other = try asUser(
                2000, device,
                "mkdir -m 750 $M/tagged/cache && stat -c '%u %a' $M/tagged/cache $M/tagged/cache/mem")
            #expect(other.output == "2000 750\n2000 600\n", "\(other.errors)")
            let peek = try asUser(1000, device, "cat $M/tagged/cache/views/0")
            #expect(peek.ending != .exited(0) && peek.errors.contains("Permission denied"))
        }
    }

    @Test(
        "Another user reads, writes and maps a view whose descriptor it has, and can do nothing else",
        arguments: [([], "EACCES"), (["allow_other"], "ok")])
    func handed(mountOptions: [String], fstat: String) throws {
        try withDevice(mountOptions: mountOptions) { device in
            let outcome = try client(["handed", device.mountpoint])
            #expect(outcome.succeeded && outcome.output == "fstat: \(fstat)\nok handed\n", "\(outcome)")
        }
    }
}

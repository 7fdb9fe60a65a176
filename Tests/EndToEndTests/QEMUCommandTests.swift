import Glibc
import Testing

/// `tagmemd qemu` up to the point where a machine runs; see `GuestTests` for those that do.
@Suite("The command: virtual machines", .timeLimit(.minutes(2))) struct QEMUCommandTests {
    private static let machine = ["-machine", "virt,mte=on"]

    /// A program that says which version it is, and otherwise does what `body` says.
    private func withQEMU(
        _ version: String = "10.0.2", _ body: String = "exit 3", _ use: (String) throws -> Void
    ) throws {
        let directory = try makeTemporaryDirectory()
        defer { _ = try? run("rm", ["-r", directory]) }
        let path = "\(directory)/qemu"
        let text = """
            #!/bin/sh
            if [ "$1" = --version ]; then echo "QEMU emulator version \(version) (test)"; exit 0; fi
            \(body)

            """
        try File(path, O_RDWR | O_CREAT).write(text)
        #expect(unsafe chmod(path, 0o755) == 0)
        try use(path)
    }

    private func tagmemd(_ arguments: String...) throws -> Outcome {
        try run(daemonProgram, ["qemu"] + arguments)
    }

    private func expectRefused(_ outcome: Outcome, _ text: String, status: Int32 = 1) {
        #expect(outcome.ending == .exited(status) && outcome.output == "", "\(outcome)")
        #expect(outcome.errorLines.count == 1 && outcome.errors.contains(text), "\(outcome.errors)")
    }

    @Test("What makes no machine is said before anything is done") func wrongCommandLines() throws {
        expectRefused(try tagmemd(), "no object", status: 64)
        expectRefused(try tagmemd("/nonexistent"), "no QEMU", status: 64)
        expectRefused(try tagmemd("/nonexistent", "--"), "no QEMU", status: 64)
        expectRefused(try tagmemd("/x", "qemu", "-M", "virt"), "no tags", status: 64)
        expectRefused(try tagmemd("/x", "qemu", "-M", "virt,mte=on", "-accel", "kvm"), "'kvm'", status: 64)
        expectRefused(
            try tagmemd("--size", "0", "/x", "qemu", "-M", "virt,mte=on"), "without memory", status: 64)
        expectRefused(try tagmemd("--foo", "/x", "qemu", "-M", "virt,mte=on"), "'--foo'", status: 64)
        expectRefused(try tagmemd("/x", "--size", "1M", "qemu"), "before the directory", status: 64)
        expectRefused(try tagmemd("--size", "129K", "/x", "qemu", "-M", "virt,mte=on"), "128K", status: 64)
        expectRefused(try tagmemd("/x", "/nonexistent/qemu", "-M", "virt,mte=on"), "cannot run")
        expectRefused(try tagmemd("/x", "true", "-M", "virt,mte=on"), "no QEMU")
        let help = try tagmemd("--help")
        #expect(help.succeeded && help.output.contains("tags.hex"))
    }

    @Test("Versions whose tags are wrong are refused by name") func versions() throws {
        try withDevice { device in
            let directory = device.path("tagged/vm")
            try withQEMU("7.2.22") {
                expectRefused(try tagmemd(directory, $0, "-M", "virt,mte=on"), "QEMU 7.2.22")
            }
            try withQEMU("8.1.0") {
                expectRefused(try tagmemd(device.path("phys"), $0, "-M", "virt,mte=on"), "8.2")
            }
            #expect(try names(in: device.path("tagged")).isEmpty)
        }
    }

    @Test("An object that cannot be a machine's memory is refused") func objects() throws {
        try withDevice(size: "64M", runsOut: true) { device in
            try withQEMU { qemu in
                func vm(_ name: String, _ options: String...) throws -> Outcome {
                    try run(daemonProgram, ["qemu"] + options + [device.path(name), qemu] + Self.machine)
                }
                expectRefused(try run(daemonProgram, ["qemu", "/tmp", qemu] + Self.machine), "/tmp")
                expectRefused(try vm("tagged/none"), "No such file")
                try device.make("untagged/vm", pages: 64)
                expectRefused(try vm("untagged/vm"), "no tags")
                try device.make("tagged/odd", pages: 33)
                expectRefused(try vm("tagged/odd"), "multiple of 128K")
                expectRefused(try vm("tagged/odd", "--size", "1M"), "135168 bytes")
                #expect(unsafe mkdir(device.path("tagged/empty"), 0o755) == 0)
                expectRefused(try vm("tagged/empty"), "--size")
                expectRefused(try vm("tagged/new", "--size", "1G"), "No space")
                #expect(try names(in: device.path("tagged")) == ["empty", "odd"])
                let tags = try device.open("tagged/odd/tags")
                try device.open("tagged/odd/mem").truncate(64 * 4096)
                #expect(flock(tags.descriptor, LOCK_EX | LOCK_NB) == 0)
                expectRefused(try vm("tagged/odd"), "in use by another machine")
                // There are objects.
                expectRefused(try vm("phys"), "there are objects")
                expectRefused(try vm("phys", "--size", "1M"), "leave --size out")
            }
        }
        try withDevice(size: "64M", mountOptions: ["page_cache"]) { device in
            try device.make("tagged/vm", pages: 64)
            try withQEMU { qemu in
                let outcome = try run(daemonProgram, ["qemu", device.path("tagged/vm"), qemu] + Self.machine)
                expectRefused(outcome, "page_cache")
            }
        }
        for (machine, text) in [
            (["--size", "1M", "--base", "0"], "0x40000000"), (["--size", "128K"], "multiple of 256K"),
            (["--machine", "virt,mte=on,mte-shared-alloc=on", "-m", "64M"], "0x40000000"),
            (["--machine", "virt", "-m", "64M"], "no other"),
        ] {
            try withDevice(Device.Options(machine: machine)) { device in
                try withQEMU { qemu in
                    let outcome = try run(daemonProgram, ["qemu", device.path("phys"), qemu] + Self.machine)
                    expectRefused(outcome, text)
                }
            }
        }
    }

    @Test("A QEMU whose tags are not found is ended, and it is said why") func noTags() throws {
        // Speaks for a QEMU: greets, and answers the first two commands, the second with what `blocks` says.
        func answers(_ blocks: String) -> String {
            """
            for word; do case $word in socket,id=tagmemd-monitor,fd=*) fd=${word##*=}; esac; done
            echo '{"QMP": {"version": {}}}' >&$fd
            read -r line <&$fd; echo '{"event": "X"}' >&$fd; echo '{"return": {}}' >&$fd
            read -r line <&$fd; printf '%s\\n' '\(blocks)' >&$fd
            exec sleep 100
            """
        }
        func block(_ size: String, _ address: String) -> String {
            #"{"return": "\r\n mach-virt.tag 4 KiB 0x0 \#(size) \#(size) \#(address) rw\r\n"}"#
        }
        try withDevice(size: "64M") { device in
            try device.make("tagged/vm", pages: 256)
            for (blocks, text) in [
                (#"{"return": "nothing"}"#, "no memory for the tags"),
                (block("0x4000", "0x7f0000000000"), "no memory for the tags"),
                (block("0x8000", "0x7f0000000000"), "in no memory of process"),
                (block("0x8000", "0xfffffffffffff000"), "no memory for the tags"),
                (#"{"error": {"desc": "no"}}"#, "QEMU says"),
            ] {
                try withQEMU("10.0.2", answers(blocks)) { qemu in
                    expectRefused(
                        try run(daemonProgram, ["qemu", device.path("tagged/vm"), qemu] + Self.machine), text)
                    #expect(try processes(naming: qemu).isEmpty)
                }
            }
        }
    }

    @Test("A file is mapped into a program that waits, and that goes on as it was") func mapped() throws {
        let outcome = try client(["mapother"])
        #expect(outcome.succeeded && outcome.output == "ok mapother\n", "\(outcome)")
    }

    @Test("A QEMU that ends by itself: the command ends alike, and leaves nothing") func endings() throws {
        try withDevice(size: "64M") { device in
            let directory = device.path("tagged/vm")
            for (body, ending) in [
                ("exit 3", .exited(3)), ("exit 0", .exited(0)), ("kill -KILL $$", .killed(signal: SIGKILL)),
                ("kill -TERM $$", .killed(signal: SIGTERM)),
            ] as [(String, Ending)] {
                try withQEMU("10.0.2", body) { qemu in
                    let outcome = try run(
                        daemonProgram, ["qemu", "--size", "1M", directory, "--", qemu] + Self.machine)
                    #expect(
                        outcome.ending == ending && outcome.output == "" && outcome.errors == "", "\(outcome)"
                    )
                }
            }
            // It gets the options of its user, and its memory.
            try withQEMU("10.0.2", "echo \"$@\"") { qemu in
                let outcome = try run(
                    daemonProgram,
                    ["qemu", directory, qemu] + Self.machine + ["-nographic", "-append", "a b"])
                #expect(outcome.succeeded, "\(outcome)")
                #expect(outcome.output.hasPrefix("-machine virt,mte=on -nographic -append a b "))
                #expect(
                    outcome.output.contains("mem-path=/dev/fd/") && outcome.output.contains("size=1048576"))
                #expect(outcome.output.contains("-m 1024K") && outcome.output.contains("-serial mon:stdio"))
            }
            // A signal while it starts ends both, and is not a failure of the machine's.
            for delay in stride(from: 0, to: 100_000, by: 7000) as StrideTo<UInt32> {
                try withQEMU("10.0.2", "exec sleep 100") { qemu in
                    let machine = try Program(daemonProgram, ["qemu", directory, qemu] + Self.machine)
                    usleep(delay)
                    #expect(kill(machine.pid, SIGTERM) == 0)
                    #expect(machine.wait(seconds: 10) == .killed(signal: SIGTERM) && machine.errors == "")
                    #expect(eventually { (try? processes(naming: qemu).isEmpty) ?? false })
                }
            }
            try withQEMU("10.0.2", "echo hello; exec sleep 100") { qemu in
                let machine = try Program(daemonProgram, ["qemu", directory, qemu] + Self.machine)
                #expect(eventually { machine.output == "hello\n" })
                #expect(kill(machine.pid, SIGTERM) == 0)
                #expect(machine.wait(seconds: 10) == .killed(signal: SIGTERM))
            }
            let again = try run(daemonProgram, ["qemu", directory, "true"] + Self.machine + ["-m", "2M"])
            expectRefused(again, "no QEMU")
            try withQEMU { qemu in
                let other = try run(daemonProgram, ["qemu", directory, qemu] + Self.machine + ["-m", "2M"])
                expectRefused(other, "-m is not", status: 64)
            }
        }
    }
}

import Testing

@Suite("The command: device trees", .timeLimit(.minutes(2))) struct DeviceTreeCommandTests {
    private let prototype = ["--machine", "virt,virtualization=on,mte=on,mte-shared-alloc=on", "-m", "1G"]

    /// The blob that `tagmemd dtb` writes into a file, as text.
    private func source(_ arguments: [String]) throws -> String {
        let directory = try makeTemporaryDirectory()
        defer { _ = try? run("rm", ["-r", directory]) }
        let written = try run(daemonProgram, ["dtb"] + arguments + ["-o", "\(directory)/dtb"])
        #expect(written.succeeded && written.output == "" && written.errors == "", "\(written.errors)")
        let compiler = try run("dtc", ["-I", "dtb", "-O", "dts", "\(directory)/dtb"])
        #expect(compiler.succeeded && compiler.errors == "", "\(compiler.errors)")
        return compiler.output
    }

    @Test("dtb writes a machine's tree, which is the same machine") func roundTrip() throws {
        for dialect in ["proposal", "rfc-v2", "rfc-v3"] {
            let directory = try makeTemporaryDirectory()
            defer { _ = try? run("rm", ["-r", directory]) }
            let first = try source(prototype + ["--dt-dialect", dialect])
            _ = try run(daemonProgram, ["dtb", "-o", "\(directory)/x", "--dt-dialect", dialect] + prototype)
            #expect(try source(["--dtb", "\(directory)/x", "--dt-dialect", dialect]) == first)
            // In another dialect, too.
            #expect(try source(["--dtb", "\(directory)/x"]) == source(prototype))
            #expect(first.contains("reg = <0x100 0x00 0x00 0x2000000>;"))
        }
    }

    @Test("dtb puts its memory into another machine's tree") func merge() throws {
        let directory = try makeTemporaryDirectory()
        defer { _ = try? run("rm", ["-r", directory]) }
        let tree = "\(directory)/virt"
        let dumped = try run(
            "qemu-system-aarch64",
            [
                "-M", "virt,mte=on,dumpdtb=\(tree)", "-cpu", "max", "-m", "528M", "-nodefaults", "-display",
                "none",
            ])
        #expect(dumped.succeeded, "\(dumped)")
        let merged = try source([
            "--size", "512M", "--merge", tree, "--append", "console=ttyAMA0", "--initrd", "0x48000000,2M",
        ])
        for line in [
            "memory@40000000 {", "reg = <0x00 0x40000000 0x00 0x20000000>;", "memory@60000000 {",
            "tag-storage@60000000 {", "bootargs = \"console=ttyAMA0\";",
            "linux,initrd-end = <0x00 0x48200000>;",
            "pl011@9000000 {",
        ] { #expect(merged.contains(line), "\(line)") }
        // QEMU's own memory node is gone.
        #expect(!merged.contains("0x21000000"))
        for (arguments, status, text) in [
            (["--merge", "/dev/null"], 1, "/dev/null: the device tree: malformed"),
            (["--merge", "/nonexistent/x"], 1, "No such file"), (["--append", "x"], 64, "--merge"),
            (["--merge", tree, "--initrd", "1"], 64, "--initrd"),
            (["--merge", tree, "--initrd", "0x10000000000000,1"], 64, "--initrd"),
        ] as [([String], Int32, String)] {
            let outcome = try run(daemonProgram, ["dtb", "-o", "/dev/null"] + arguments)
            #expect(outcome.ending == .exited(status) && outcome.errors.contains(text), "\(outcome)")
        }
    }

    @Test("dtb writes to stdout where that is no terminal") func standardOutput() throws {
        let piped = try shell("\"$DAEMON\" dtb | dtc -I dtb -O dts", environment: ["DAEMON": daemonProgram])
        #expect(piped.succeeded && piped.output.contains("memory@40000000 {"))
        let terminal = try shell(
            "script -qec \"$DAEMON dtb\" /dev/null", environment: ["DAEMON": daemonProgram])
        #expect(terminal.ending == .exited(64) && terminal.output.contains("nothing for a terminal"))
    }

    @Test("What is wrong is said in one line") func refused() throws {
        for (arguments, status, text) in [
            (["--machine", "virt,x=on"], 64, "'x'"),
            (["--dtb", "/dev/null"], 1, "/dev/null: the device tree: malformed"),
            (["-o", "/nonexistent/x"], 1, "/nonexistent/x: No such file"),
            (["-o", "/dev/full"], 1, "No space left"),
            (["extra", "-o", "/dev/null"], 64, "extra"), (["-o"], 64, "-o"),
        ] as [([String], Int32, String)] {
            let outcome = try run(daemonProgram, ["dtb"] + arguments)
            #expect(outcome.ending == .exited(status) && outcome.output == "")
            #expect(outcome.errorLines.count == 1 && outcome.errors.contains(text), "\(outcome.errors)")
        }
        let help = try run(daemonProgram, ["dtb", "--help"])
        #expect(help.succeeded && help.output.contains("tagmemd dtb"))
    }
}

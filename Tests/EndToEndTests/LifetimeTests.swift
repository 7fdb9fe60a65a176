import Glibc
import Testing

@Suite("The daemon's life and its end", .serialized, .timeLimit(.minutes(3)))
struct LifetimeTests {
    @Test("A signal unmounts, and ends a daemon in the background", arguments: [SIGINT, SIGTERM, SIGHUP])
    func signals(number: Int32) throws {
        try withMountpoint { path in
            try mountInBackground(path)
            let pid = try daemon(at: path)
            let start = now()
            kill(pid, number)
            #expect(eventually(within: 5) { !isAlive(pid) })
            #expect(!isMounted(path))
            #expect(now() - start < 5)
            #expect(try names(in: path).isEmpty)
            #expect(eventually(within: 5) { (try? processes(naming: path).isEmpty) ?? false })
        }
    }

    @Test("A signal ends it while another process has memory mapped", arguments: [SIGINT, SIGTERM, SIGHUP])
    func signalsWithMappings(number: Int32) throws {
        try withMountpoint { path in
            try mountInBackground(path)
            let pid = try daemon(at: path)
            let script = try Script()
            try script.map(0, "\(path)/phys/views/0", at: 0x4000_0000, length: 1 << 16)
            try script.map(1, "\(path)/phys/tags.hex", at: 0x400_0000)
            #expect(try script("store 0 0 65536 0x12") == "ok")
            #expect(try script("store 1 100 10 0x35") == "ok")
            let reader = try Program("cat", ["\(path)/faults_pipe"])
            #expect(reader.wait(seconds: 0.1) == nil)
            kill(pid, number)
            #expect(eventually(within: 5) { !isAlive(pid) })
            #expect(!isMounted(path))
            #expect(reader.wait(seconds: 5) == .exited(1))
            // What is mapped and not there any more is SIGBUS, and nobody hangs.
            _ = try script("msync 0", within: 5)
            let program = script.program
            program.kill()
            #expect(program.wait(seconds: 5) == .killed(signal: SIGKILL))
        }
    }

    @Test("A lazy umount with mappings alive leaves nobody that cannot be killed", .needsRoot)
    func lazyUnmount() throws {
        try withMountpoint { path in
            try mountInBackground(path)
            let pid = try daemon(at: path)
            let script = try Script()
            try script.map(0, "\(path)/phys/views/0", at: 0x4000_0000, length: 1 << 16)
            #expect(try script("store 0 0 65536 0x12") == "ok")
            #expect(throws: Errno(EBUSY)) { try check { unsafe umount2(path, 0) } }
            try check { unsafe umount2(path, Int32(MNT_DETACH)) }
            #expect(!isMounted(path))
            // It serves who has it open, and ends with the last of them.
            #expect(try script("load 0 65535") == "0x12")
            #expect(try script("store 0 7 1 0x13") == "ok")
            #expect(try script("msync 0") == "ok")
            #expect(try script("read 0 0x40000000 100") == "100")
            #expect(isAlive(pid))
            script.program.kill()
            #expect(script.program.wait(seconds: 5) == .killed(signal: SIGKILL))
            #expect(eventually(within: 5) { !isAlive(pid) })
        }
    }

    @Test(
        "In the foreground it ends with status 0 on a signal and on umount",
        arguments: [0, SIGINT, SIGTERM, SIGHUP])
    func foreground(number: Int32) throws {
        try withDevice { device in
            if number == 0 {
                let outcome = try run("fusermount3", ["-u", device.mountpoint])
                #expect(outcome.succeeded, "\(outcome.errors)")
            } else {
                device.daemon.signal(number)
            }
            #expect(device.daemon.wait(seconds: 5) == .exited(0))
            #expect(!isMounted(device.mountpoint))
        }
    }

    @Test(
        "While an object grows it ends without a word, by a signal or a forced umount", .needsRoot,
        arguments: [true, false])
    func endWhileGrowing(bySignal: Bool) throws {
        for round in 0..<12 {
            // The daemon's last words are looked at when the device is torn down.
            try withDevice(size: "16G") { device in
                try device.make("tagged/a")
                let growing = try Program("truncate", ["-s", "9G", device.path("tagged/a/mem")])
                _ = growing.wait(seconds: 0.01 * Double(round % 6))
                if bySignal {
                    device.daemon.signal(SIGTERM)
                } else {
                    try check { unsafe umount2(device.mountpoint, Int32(MNT_FORCE | MNT_DETACH)) }
                }
                #expect(device.daemon.wait(seconds: 10) == .exited(0), "round \(round)")
                #expect(growing.wait(seconds: 10) != nil, "round \(round)")
                #expect(device.daemon.errors == "", "round \(round)")
                #expect(!isMounted(device.mountpoint))
            }
        }
    }

    @Test(
        "When the daemon is killed under load, everyone ends", .needsAbort,
        arguments: ["sync", "async", "none", "sync"])
    func killedUnderLoad(mode: String) throws {
        try withDevice(size: "1G", expectsDeath: true) { device in
            let stress = try Program(
                clientProgram, ["stress", device.path("phys"), "0x40100000", "6", "30", "1", "--mode", mode])
            let guardPid = try device.guardProcess()
            let isBusy = try eventually(within: 10) { try #require(device.counters()["page_recalls"]) > 200 }
            try #require(isBusy && stress.poll() == nil, "\(stress.output)")
            device.daemon.signal(SIGKILL)
            let start = now()
            #expect(device.daemon.wait(seconds: 15) == .killed(signal: SIGKILL))
            #expect(eventually(within: 15) { !isAlive(guardPid) })
            #expect(stress.wait(seconds: 15) != nil)
            #expect(eventually(within: 15) { (try? processes(naming: device.mountpoint).isEmpty) ?? false })
            #expect(now() - start < 15)
            #expect(throws: Errno.self) { try contents(of: device.path("vmstat")) }
        }
    }
}

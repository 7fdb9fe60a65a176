import Glibc
import Testing

#if arch(x86_64)
    @Suite("tagmemd run", .timeLimit(.minutes(2))) struct RunCommandTests {
        private static let folder = "\(AttachProgram.folder)/run"

        /// Its device is mounted in a directory of the test's own, which is to be empty afterwards.
        private func tagmemdRun(_ arguments: String...) throws -> Outcome {
            let directory = try makeTemporaryDirectory()
            defer { unsafe rmdir(directory) }
            let outcome = try run(
                daemonProgram, ["run"] + arguments, timeout: 60, environment: ["TMPDIR": directory])
            #expect(try names(in: directory) == [], "\(arguments)")
            return outcome
        }

        /// The line of faults.c that says so.
        private func line(_ name: String) throws -> Int {
            let path = "\(AttachProgram.sources)/Tests/Attach/Run/faults.c"
            let lines = try contents(of: path).split(separator: "\n", omittingEmptySubsequences: false)
            return try #require(lines.firstIndex { $0.contains("LINE \(name)") }) + 1
        }

        @Test(
            "a fault is shown with its address, its tags and its calls",
            arguments: [("gcc", "aliases"), ("clang", "aliases"), ("plain", "views")])
        func fault(compiler: String, way: String) throws {
            for (action, access, offset, function) in [
                ("store", "store of 1 byte", 16, "overflow"), ("load", "load of 1 byte", 20, "peek"),
            ] {
                let outcome = try tagmemdRun(
                    "--mode", "sync", "--attach", way, "--", "\(Self.folder)/faults-\(compiler)", action)
                #expect(outcome.ending == .killed(signal: SIGSEGV), "\(outcome)")
                let page = try #require(UInt64(outcome.line.dropFirst(2), radix: 16))
                let address = String(page + 32 + UInt64(offset) | 5 << 40, radix: 16)
                let lines = outcome.errorLines
                try #require(lines.count >= 5, "\(outcome)")
                #expect(lines[0].hasPrefix("tagmemd: faults-\(compiler) ("))
                #expect(
                    lines[0].hasSuffix(
                        "): \(access) at 0x\(address): the pointer has tag 5, the memory 9 (sync)"))
                #expect(
                    lines[1]
                        == "    0x\(String(page, radix: 16))  0  0  5 [9] 0  0  0  0  0  0  0  0  0  0  0  0")
                let place =
                    "    #0 \(function) at \(AttachProgram.sources)/Tests/Attach/Run/faults.c:\(try line(function))"
                #expect(lines.contains(place), "\(outcome)")
                #expect(lines.contains { $0.hasPrefix("    #1 main at ") }, "\(outcome)")
            }
        }

        @Test("the exit status and the output are the program's") func status() throws {
            let program = "\(Self.folder)/faults-gcc"
            let clean = try tagmemdRun("--mode", "sync", program, "nothing")
            #expect(clean.ending == .exited(7) && clean.errors == "")
            // As on Linux, nothing is checked before somebody asks for it.
            let unchecked = try tagmemdRun(program, "store")
            #expect(unchecked.ending == .exited(7) && unchecked.errors == "")
            let caught = try tagmemdRun("--mode", "sync", program, "catch")
            #expect(caught.ending == .exited(3) && caught.output.hasSuffix("\ncaught\n"))
            #expect(caught.errors.contains("store of 1 byte at 0x"))
            let storeOnly = try tagmemdRun("--mode", "sync,store-only", program, "load")
            #expect(storeOnly.ending == .exited(7) && storeOnly.errors == "")
            let later = try tagmemdRun("--mode", "async", program, "store")
            #expect(later.ending == .killed(signal: SIGSEGV) && later.errors.contains("the memory 9 (async)"))
            // A program that knows nothing of it.
            let plain = try tagmemdRun("sh", "-c", "exit 5")
            #expect(plain.ending == .exited(5) && plain.errors == "")
        }

        @Test("--core leaves the memory and its tags") func core() throws {
            let directory = try makeTemporaryDirectory()
            defer { unsafe rmdir(directory) }
            let path = "\(directory)/core"
            defer { unsafe unlink(path) }
            let outcome = try tagmemdRun(
                "--mode", "sync", "--core", path, "--", "\(Self.folder)/faults-gcc", "store")
            #expect(outcome.ending == .killed(signal: SIGSEGV))
            let headers = try shell("readelf -lW '\(path)'")
            #expect(
                headers.output.contains("AARCH64_MEMTAG") && headers.output.contains("LOAD"), "\(headers)")
            // One page is mapped, at the object's first address.
            let bytes = try File(path).rest()
            #expect(bytes[..<4] == [0x7f, 0x45, 0x4c, 0x46])
            #expect(bytes.contains(0x95), "granules 2 and 3 have tags 5 and 9")
        }

        @Test("a signal to end is the program's, and the device goes") func termination() throws {
            let program = try Program(
                daemonProgram, ["run", "\(Self.folder)/faults-gcc", "wait"], output: .pipe)
            let line = try #require(program.outputPipe).next()
            #expect(line.starts(with: Array("0x".utf8)))
            program.signal(SIGTERM)
            #expect(program.wait(seconds: 10) == .killed(signal: SIGTERM))
        }

        @Test("what makes no sense is refused with a line") func badInput() throws {
            for (arguments, status, text) in [
                ([], 64, "no program is given"),
                (["--mode", "fast", "true"], 64, "'fast' is no mode of a program"),
                (["--mode", "sync,canonical", "true"], 64, "no mode of a program"),
                (["--attach", "both", "true"], 64, "both"), (["--size", "0", "true"], 64, "without memory"),
                (["--what", "true"], 64, "--what"), (["/no/such/program"], 1, "cannot run /no/such/program"),
                (["--core", "/no/such/directory/core", "true"], 1, "/no/such/directory/core"),
            ] as [([String], Int32, String)] {
                let outcome = try run(daemonProgram, ["run"] + arguments)
                #expect(outcome.ending == .exited(status), "\(arguments): \(outcome)")
                #expect(
                    outcome.errorLines.count == 1 && outcome.errors.hasPrefix("tagmemd: ")
                        && outcome.errors.contains(text), "\(arguments): \(outcome)")
            }
        }
    }
#endif

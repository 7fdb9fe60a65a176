import Glibc
import Testing

#if arch(x86_64)
    @Suite("libtagmem: programs that are attached", .timeLimit(.minutes(4))) struct AttachTests {
        @Test("programs of each kind were built (make attach)") func built() {
            for kind in AttachProgram.Kind.allCases {
                #expect(AttachProgram.all.contains { $0.kind == kind }, "\(kind)")
            }
        }

        /// What it finds wrong it prints, a line each; the status is 0 if there is none.
        @Test("a program finds what it expects", arguments: AttachProgram.all)
        func program(_ program: AttachProgram) throws {
            if program.kind == .plain {
                let outcome = try run(program.path, [], timeout: 200)
                #expect(outcome.succeeded, "\(outcome)")
                return
            }
            var options = Device.Options()
            options.size = program.name == "space-closing" ? "1G" : "256M"
            options.limit = 200
            options.runsOut = ["space-sizes", "environment-mappings", "environment-processes"].contains(
                program.name)
            try withDevice(options, expectsDeath: program.kind == .daemon) { device in
                let object = "tagged/a"
                try device.make(object)
                let outcome = try run(
                    program.path, program.arguments(device, object),
                    timeout: 180, environment: program.environment(device, object))
                #expect(outcome.succeeded, "\(outcome)")
                guard program.kind != .daemon else { return }
                // Objects that programs make for children and threads go with them.
                let left = try names(in: device.path("tagged")).filter { $0 != "a" }
                #expect(left == [])
            }
        }

        @Test("what is built and installed is complete, and no more than that") func library() throws {
            let outcome = try run(
                "\(AttachProgram.sources)/Tests/Attach/Space/library",
                ["\(AttachProgram.sources)/.build/tagmem"],
                timeout: 150)
            #expect(outcome.succeeded, "\(outcome)")
        }

        @Test(
            "what Linux's documentation says of MTE holds here as it does in a guest",
            arguments: ["aliases", "views"])
        func clauses(way: String) throws {
            let guest = "\(AttachProgram.sources)/Tests/EndToEndTests/Guest/Fixtures/mte-clauses"
            let impossible = try contents(of: "\(guest)-not-attached.txt").split(separator: "\n")
                .map { $0.prefix { $0 != ":" } }
            let possible = try contents(of: "\(guest).txt").split(separator: "\n").dropLast().filter { line in
                !impossible.contains { line == "ok \($0)" }
            }
            #expect(possible.count > 60)
            var options = Device.Options()
            options.size = "256M"
            options.limit = 120
            try withDevice(options) { device in
                try device.make("tagged/a")
                let outcome = try run(
                    "\(AttachProgram.folder)/attached/mte-clauses", timeout: 100,
                    environment: ["TAGMEM_OBJECT": device.path("tagged/a"), "TAGMEM_ATTACH": way])
                let all = "\(possible.count) of \(possible.count) clauses"
                let lines = outcome.output.split(separator: "\n")
                #expect(lines.filter { !$0.hasPrefix("ok ") } == [all[...]], "\(outcome.errors)")
                #expect(lines.filter { $0.hasPrefix("ok ") } == possible)
            }
        }
    }
#endif

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
            options.size = "1G"
            options.limit = 200
            options.runsOut = program.name == "space-sizes"
            try withDevice(options, expectsDeath: program.kind == .daemon) { device in
                let object = "tagged/a"
                try device.make(object)
                let outcome = try run(
                    program.path, program.arguments(device, object),
                    environment: program.environment(device, object), timeout: 180)
                #expect(outcome.succeeded, "\(outcome)")
                guard program.kind != .daemon else { return }
                // Objects that programs make for children and threads go with them.
                let left = try names(in: device.path("tagged")).filter { $0 != "a" }
                #expect(left == [])
            }
        }
    }
#endif

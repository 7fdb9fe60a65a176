import ArgumentParser
import TagMemCore
import Testing

@testable import tagmemd

@Suite("MountCommand") struct MountCommandTests {
    @Test("a mount point is enough") func shortest() throws {
        let command = try MountCommand.parse(["/mnt"])
        #expect(command.places == ["/mnt"])
        #expect(command.machine.size == nil && command.machine.base == nil && command.options.isEmpty)
        #expect(!command.foreground && !command.debug)
    }

    @Test("as mount(8) calls it") func fromMount() throws {
        let command = try MountCommand.parse([
            "tagmem", "/mnt", "-o", "rw,size=1G", "-o", "nosuid", "-f", "-d",
        ])
        #expect(command.places == ["tagmem", "/mnt"])
        #expect(command.options == ["rw,size=1G", "nosuid"])
        #expect(command.foreground && command.debug)
    }

    @Test("sizes and addresses") func values() throws {
        let command = try MountCommand.parse(["--size", "64M", "--base=0x80000000", "/mnt"])
        #expect(command.machine.size == ByteCount(64 << 20))
        #expect(command.machine.base == ByteCount(0x8000_0000))
    }

    @Test(
        "a command line that makes no sense is refused, with status 64",
        arguments: [
            ([], "no mount point"), (["a", "b", "c"], "'c'"), (["/mnt", "--size", "0"], "size 0"),
            (["/mnt", "--size", "x"], "x"), (["/mnt", "--base", "99999999T"], "99999999T"),
            (["/mnt", "-o", "bogus"], "unknown mount option 'bogus'"), (["/mnt", "-o", "size=?"], "'size'"),
            (["/mnt", "--bogus"], "--bogus"), (["/mnt", "-o"], "-o"), (["", "/mnt"], "source is empty"),
            (["x", "/dev/fd/5"], "'drop_privileges'"),
            (["x", "/mnt", "-o", "remount,size=2G"], "'remount'"),
        ] as [([String], String)])
    func refused(_ arguments: [String], _ text: String) {
        do {
            _ = try MountCommand.parse(arguments)
            Issue.record("accepted")
        } catch {
            #expect(MountCommand.exitCode(for: error) == .validationFailure)
            #expect(MountCommand.message(for: error).contains(text))
        }
    }

    @Test("help and version are no failures", arguments: ["--help", "--version"])
    func help(_ argument: String) {
        do {
            _ = try MountCommand.parseAsRoot([argument])
        } catch {
            #expect(MountCommand.exitCode(for: error) == .success)
            #expect(!MountCommand.fullMessage(for: error).isEmpty)
        }
    }
}

import Glibc
import Testing

@testable import TagMemFS

@Suite("MountedFileSystem: the table of mounts") struct MountedFileSystemTests {
    private func withTable<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
        var template = Array("/tmp/tagmemd-test-XXXXXX".utf8CString)
        // SAFETY: the template is a NUL-terminated array of its own.
        let descriptor = unsafe mkstemp(&template)
        try #require(descriptor >= 0)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unsafe unlink(path) }
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            // SAFETY: `write` reads at most the bytes of the slice.
            let count = unsafe bytes[done...].withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress, $0.count)
            }
            try #require(count > 0)
            done += count
        }
        try #require(close(descriptor) == 0)
        return try body(path)
    }

    private func line(_ place: String, _ type: String, _ device: String, options: String = "rw") -> String {
        "36 35 \(device) / \(place) \(options) shared:7 - \(type) source rw,user_id=0\n"
    }

    @Test("the last one at a path is on top, and blanks are fields' ends") func topmost() throws {
        let text =
            line("/mnt", "tmpfs", "0:7") + line("/mnt/a", "ext4", "8:1")
            + line("/mnt", "fuse.tagmemd", "0:51")
            + "malformed - x\n\n" + "37 35 0:52 / /last rw - fuse  rw"  // no newline, no source
        try withTable(text) { table in
            let found = try #require(MountedFileSystem(at: "/mnt", table: table))
            #expect(found.type == "fuse.tagmemd" && found.device == "0:51" && found.connection == 51)
            #expect(MountedFileSystem(at: "/mnt/a", table: table)?.device == "8:1")
            #expect(MountedFileSystem(at: "/last", table: table)?.connection == 52)
            #expect(MountedFileSystem(at: "/mnt/b", table: table) == nil)
            #expect(MountedFileSystem(at: "/", table: table) == nil)
        }
        #expect(MountedFileSystem(at: "/mnt", table: "/does/not/exist") == nil)
    }

    @Test(
        "octal escapes",
        arguments: [
            ("/mnt/plain", "/mnt/plain"), ("/a\\040b", "/a b"), ("\\134\\011\\012", "\\\t\n"),
            ("/x\\04", "/x\\04"), ("/x\\", "/x\\"), ("/x\\999", "/x\\999"), ("\\303\\251", "é"),
            ("\\0401", " 1"), ("\\777", "\\777"), ("/a\\040\u{308}b", "/a \u{308}b"),
        ])
    func octal(_ field: String, _ path: String) throws {
        try withTable(line(field, "tmpfs", "0:7")) { table in
            #expect(MountedFileSystem(at: path, table: table) != nil)
        }
    }

    @Test("names that only look alike are two") func bytes() throws {
        try withTable(line("/mnt/\u{e9}", "tmpfs", "0:7")) { table in
            #expect(MountedFileSystem(at: "/mnt/\u{e9}", table: table) != nil)
            #expect(MountedFileSystem(at: "/mnt/e\u{301}", table: table) == nil)
        }
    }

    @Test("a table of any length, with lines of any length") func longTable() throws {
        var text = ""
        for index in 0..<30000 { text += line("/mnt/\(index)", "tmpfs", "0:\(index)") }
        text += line("/long/" + String(repeating: "x", count: 300_000), "tmpfs", "0:40000")
        text += line("/mnt/own", "fuse.tagmemd", "0:40001")
        try #require(text.utf8.count > 2 << 20)
        try withTable(text) { table in
            #expect(MountedFileSystem(at: "/mnt/own", table: table)?.connection == 40001)
            #expect(MountedFileSystem(at: "/mnt/29999", table: table)?.connection == 29999)
        }
    }

    @Test("the lines of a file come one by one, until enough was seen") func everyLine() throws {
        for (text, expected) in [
            ("", []), ("a", ["a"]), ("a\n", ["a"]), ("\n\nb\nc", ["", "", "b", "c"]),
        ] as [(String, [String])] {
            try withTable(text) { path in
                let all = self.lines(of: path, limit: .max)
                #expect(all.isRead && all.lines == expected)
                #expect(self.lines(of: path, limit: 1).lines == Array(expected.prefix(1)))
            }
        }
        #expect(!self.lines(of: "/does/not/exist", limit: 1).isRead)
        #expect(!self.lines(of: "/", limit: 1).isRead)
    }

    private func lines(of path: String, limit: Int) -> (isRead: Bool, lines: [String]) {
        var lines: [String] = []
        let isRead = forEachHostLine(path) { line in
            lines.append(String(decoding: line, as: UTF8.self))
            return lines.count < limit
        }
        return (isRead, lines)
    }
}

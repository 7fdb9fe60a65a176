import Glibc
import Testing

@Suite("Reads whose memory lies in many pieces", .timeLimit(.minutes(2)))
struct ScatteredReadTests {
    @Test("The tags of two objects that grew page by page in turn are read at once") func scatteredTags()
        throws
    {
        // The tags of a page are a piece, and each half of the pages is the other object's: the kernel takes at most 1024
        // parts of an answer, and the header is one.
        let pages = 1024
        try withDevice(size: "64M", limit: 30) { device in
            let objects = try ["a", "b"].map { name in
                try device.make("tagged/\(name)")
                return try device.open("tagged/\(name)/mem")
            }
            for count in 1...pages { for object in objects { try object.truncate(count * 4096) } }
            let digits = try device.open("tagged/a/tags.hex")
            try digits.write([UInt8](repeating: UInt8(ascii: "5"), count: 256), at: 1000 * 256)
            var tags = [UInt8](repeating: 0, count: pages * 128)
            for index in 1000 * 128..<1001 * 128 { tags[index] = 0x55 }
            #expect(try device.open("tagged/a/tags", O_RDONLY).read(at: 0, count: tags.count) == tags)
            var text = [UInt8](repeating: UInt8(ascii: "0"), count: pages * 256)
            for index in 1000 * 256..<1001 * 256 { text[index] = UInt8(ascii: "5") }
            #expect(try digits.read(at: 0, count: text.count) == text)
        }
    }
}

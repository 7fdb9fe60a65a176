import CFuse
import Glibc
import Testing

/// An answer that the kernel refuses becomes one that it takes: nobody waits for ever.
@Suite struct AnswerWritingTests {
    private struct Header: Equatable {
        var length: UInt32
        var error: Int32
        var unique: UInt64
    }

    /// Writes a message of a header and `parts` times four bytes to a pipe. Returns whether it was written, the errno if
    /// not, and the header of what came out of the pipe.
    private func write(
        unique: UInt64, parts count: Int,
        by write: @escaping @convention(c) (Int32, UnsafePointer<iovec>?, Int32) -> Int
    ) -> (succeeds: Bool, error: Int32, sent: Header?) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { return (false, errno, nil) }
        defer { for end in ends { close(end) } }
        // Nothing may have come out.
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        var context = unsafe cfuse_context()
        var header = Header(length: UInt32(16 + 4 * count), error: 0, unique: unique)
        var data: UInt32 = 0
        let (result, error) = unsafe withUnsafeMutableBytes(of: &header) { header in
            unsafe withUnsafeMutableBytes(of: &data) { data in
                var message = unsafe [iovec(iov_base: header.baseAddress, iov_len: header.count)]
                for _ in 0..<count {
                    unsafe message.append(iovec(iov_base: data.baseAddress, iov_len: data.count))
                }
                let result = unsafe cfuse_write_message(
                    &context, ends[1], &message, Int32(message.count), write)
                return (result, errno)
            }
        }
        var sent = Header(length: 0, error: 0, unique: 0)
        let got = unsafe read(ends[0], &sent, MemoryLayout<Header>.size)
        return (result >= 0, result >= 0 ? 0 : error, got == MemoryLayout<Header>.size ? sent : nil)
    }

    @Test("an answer that the kernel takes is left alone") func taken() {
        let (succeeds, _, sent) = unsafe write(unique: 8, parts: 3) { unsafe writev($0, $1, $2) }
        #expect(succeeds)
        #expect(sent == Header(length: 28, error: 0, unique: 8))
    }

    @Test("an answer of too many parts becomes EIO, and counts as one that reached nobody") func tooMany() {
        // The real one refuses more than 1024.
        let (succeeds, error, sent) = unsafe write(unique: 8, parts: 1024) { unsafe writev($0, $1, $2) }
        #expect(!succeeds && error == ENOENT)
        #expect(sent == Header(length: 16, error: -EIO, unique: 8))
    }

    @Test("an answer whose memory cannot be read, or that finds no memory, becomes EIO") func refused() {
        let (succeeds, error, sent) = unsafe write(unique: 8, parts: 1) { descriptor, parts, count in
            if count > 1 {
                errno = EFAULT
                return -1
            }
            return unsafe writev(descriptor, parts, count)
        }
        #expect(!succeeds && error == ENOENT)
        #expect(sent == Header(length: 16, error: -EIO, unique: 8))
    }

    @Test("where nothing can be written any more, that is said") func hopeless() {
        let (succeeds, error, sent) = unsafe write(unique: 8, parts: 1) { _, _, _ in
            errno = ENOMEM
            return -1
        }
        #expect(!succeeds && error == ENOMEM && sent == nil)
    }

    @Test("an answer that nobody waits for is not repeated") func gone() {
        let (succeeds, error, sent) = unsafe write(unique: 8, parts: 1) { descriptor, parts, count in
            if count == 1 { return unsafe writev(descriptor, parts, count) }
            errno = ENOENT
            return -1
        }
        #expect(!succeeds && error == ENOENT && sent == nil)
    }

    @Test("the end of the connection is no error to speak of") func over() {
        let (succeeds, error, sent) = unsafe write(unique: 8, parts: 1) { descriptor, parts, count in
            if count == 1 { return unsafe writev(descriptor, parts, count) }
            errno = ENODEV
            return -1
        }
        #expect(!succeeds && error == ENOENT && sent == nil)
    }

    @Test("a notification that the kernel refuses is not answered") func notification() {
        let (succeeds, error, sent) = unsafe write(unique: 0, parts: 1) { descriptor, parts, count in
            if count == 1 { return unsafe writev(descriptor, parts, count) }
            errno = EINVAL
            return -1
        }
        #expect(!succeeds && error == EINVAL && sent == nil)
    }
}

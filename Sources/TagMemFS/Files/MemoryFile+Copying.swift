import CFuse
import Glibc
import TagMemCore

extension Reply {
    /// Answers with the first `count` bytes of a footprint, straight from memory.
    consuming func memory(_ footprint: Footprint, count: Int, of dram: DRAM) {
        if footprint.pieces.count == 1, case .memory(let address, let size) = footprint.pieces[0] {
            let length = min(size, count)
            return unsafe memory(
                UnsafeRawBufferPointer(start: dram.pointer(to: address, count: length), count: length))
        }
        var answer: Reply? = consume self
        unsafe withUnsafeTemporaryAllocation(
            of: iovec.self, capacity: footprint.pieces.count + count / Zeros.size + 1
        ) { parts in
            var used = 0
            var left = count
            for index in footprint.pieces.indices where left > 0 {
                switch footprint.pieces[index] {
                case .memory(let address, let size):
                    let length = min(size, left)
                    unsafe parts[used] = unsafe iovec(
                        iov_base: dram.pointer(to: address, count: length), iov_len: length)
                    used += 1
                    left -= length
                case .zeros(let size):
                    var zeros = min(size, left)
                    left -= zeros
                    while zeros > 0 {
                        let length = min(zeros, Zeros.size)
                        unsafe parts[used] = unsafe iovec(iov_base: Zeros.bytes, iov_len: length)
                        used += 1
                        zeros -= length
                    }
                }
            }
            guard let reply = answer.take() else { return }
            unsafe reply.memory(UnsafeBufferPointer(rebasing: parts[..<used]))
        }
    }
}

extension MemoryFile {
    /// Answers with the first `count` bytes of a footprint, straight from memory.
    func replyMemory(_ reply: consuming Reply, _ footprint: Footprint, count: Int) {
        reply.memory(footprint, count: count, of: dram)
    }

    /// Copies bytes to the pieces of a footprint, in order, as far as both reach.
    func copy(_ bytes: UnsafeRawBufferPointer, to footprint: Footprint) {
        var position = 0
        for index in footprint.pieces.indices where position < bytes.count {
            let length = min(footprint.pieces[index].count, bytes.count - position)
            if case .memory(let address, _) = footprint.pieces[index] {
                unsafe dram.write(
                    UnsafeRawBufferPointer(rebasing: bytes[position..<(position + length)]), to: address)
            }
            position += length
        }
    }

    /// The tags of a footprint, packed.
    func packedTags(_ footprint: Footprint) -> [UInt8] { dram.bytes(of: footprint) }
}

extension DRAM {
    /// What a footprint shows.
    func bytes(of footprint: Footprint) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: footprint.count) { buffer, count in
            unsafe buffer.initialize(repeating: 0)
            for index in footprint.pieces.indices {
                let length = footprint.pieces[index].count
                if case .memory(let address, _) = footprint.pieces[index] {
                    unsafe read(
                        UnsafeMutableRawBufferPointer(
                            rebasing: UnsafeMutableRawBufferPointer(buffer)[count..<(count + length)]),
                        from: address)
                }
                count += length
            }
        }
    }
}

/// A page of zeros, for what reads as zero without being memory.
enum Zeros {
    static let size = 1 << 16
    // SAFETY: never written, never freed.
    nonisolated(unsafe) static let bytes: UnsafeMutableRawPointer = {
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        return unsafe bytes
    }()
}

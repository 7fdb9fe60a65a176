/// Appends the headers and notes of ELF core files for AArch64: ELF64, little-endian.
struct CoreHeaderWriter {
    var bytes: [UInt8] = []

    static let fileHeaderSize = 64
    static let programHeaderSize = 56

    struct ProgramHeader {
        /// PT_LOAD, PT_NOTE and PT_AARCH64_MEMTAG_MTE.
        enum SegmentType: UInt32 {
            case load = 1
            case note = 4
            case memoryTags = 0x7000_0002
        }

        /// PF_W and PF_R.
        struct Flags: OptionSet {
            let rawValue: UInt32
            static let write = Flags(rawValue: 2)
            static let read = Flags(rawValue: 4)
        }

        var type: SegmentType
        var flags: Flags = []
        /// In the file.
        var offset: UInt64
        /// Of the memory.
        var address: UInt64 = 0
        var fileSize: UInt64
        var memorySize: UInt64
        var alignment: UInt64 = 0
    }

    mutating func appendFileHeader(programHeaders count: UInt16) {
        // The magic number; ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE.
        bytes += [0x7f] + Array("ELF".utf8) + [2, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
        append(UInt16(4))  // ET_CORE
        append(UInt16(183))  // EM_AARCH64
        append(UInt32(1))  // EV_CURRENT
        append(UInt64(0))  // no entry point
        append(UInt64(Self.fileHeaderSize))  // where program headers are
        append(UInt64(0))  // where section headers are
        append(UInt32(0))  // flags
        append(UInt16(Self.fileHeaderSize))
        append(UInt16(Self.programHeaderSize))
        append(count)
        for _ in 0..<3 { append(UInt16(0)) }  // no section headers
    }

    mutating func append(_ header: ProgramHeader) {
        append(header.type.rawValue)
        append(header.flags.rawValue)
        append(header.offset)
        append(header.address)
        append(UInt64(0))  // the physical address
        append(header.fileSize)
        append(header.memorySize)
        append(header.alignment)
    }

    /// A note of the kernel's, `CORE`, whose description is a multiple of four bytes.
    private mutating func appendNote(type: UInt32, _ description: [UInt8]) {
        let name = Array("CORE".utf8) + [0]
        append(UInt32(name.count))
        append(UInt32(description.count))
        append(type)
        bytes += name + [0, 0, 0] + description
    }

    /// NT_PRSTATUS of a thread that was stopped by nothing, all of whose registers are 0.
    mutating func appendThread(id: UInt32) {
        var status = [UInt8](repeating: 0, count: 392)  // struct elf_prstatus
        status[32] = UInt8(truncatingIfNeeded: id)  // pr_pid
        appendNote(type: 1, status)
    }

    /// NT_AUXV.
    mutating func appendAuxiliaryVector(_ entries: [(AuxiliaryType, UInt64)]) {
        var vector = CoreHeaderWriter()
        for (type, value) in entries {
            vector.append(type.rawValue)
            vector.append(value)
        }
        appendNote(type: 6, vector.bytes)
    }

    private mutating func append(_ value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}

/// AT_NULL, AT_PAGESZ and AT_HWCAP2.
enum AuxiliaryType: UInt64 {
    case end = 0
    case pageSize = 6
    case hardwareCapabilities2 = 26

    /// HWCAP2_MTE.
    static let hasMTE: UInt64 = 1 << 18
}

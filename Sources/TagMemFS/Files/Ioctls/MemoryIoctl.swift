import CTagMemABI
import TagMemCore

/// An ioctl of the files that show memory, decoded and checked. Documentation/ABI.md has the table.
enum MemoryIoctl {
    case loadTags(at: TaggedPointer, count: Int)
    /// A byte each, 0 to 15.
    case storeTags(at: TaggedPointer, [UInt8])
    case fill(at: TaggedPointer, count: UInt64, AllocationTag, zeroing: Bool)
    case execute(TagInstruction)
    case access(CheckedAccess)
    case processor
    case setProcessor(ProcessorState)
    case mode
    case setMode(TagCheckMode)
    case report(CheckedAccess.Report)

    /// Bytes of data that a fill does at a time.
    static let maximumFill = 1 << 20

    /// - Throws: `.unknownCommand`; `.invalid` if sizes, reserved fields or values are not as they must be.
    init(_ command: UInt32, _ argument: UnsafeRawBufferPointer) throws(FileError) {
        switch command {
        case ctagmem_GET_TAGS:
            let tags = try unsafe Self.decode(tagmem_tags.self, argument)
            let count = try Self.count(of: tags)
            self = .loadTags(at: TaggedPointer(rawValue: tags.address), count: count)
        case ctagmem_SET_TAGS:
            let tags = try unsafe Self.decode(tagmem_tags.self, argument)
            let count = try Self.count(of: tags)
            let values = unsafe withUnsafeBytes(of: tags.tags) { unsafe Array($0.prefix(count)) }
            guard values.allSatisfy({ $0 < 16 }) else { throw .invalid }
            self = .storeTags(at: TaggedPointer(rawValue: tags.address), values)
        case ctagmem_FILL_TAGS:
            self = try Self.fill(unsafe Self.decode(tagmem_fill.self, argument))
        case ctagmem_EXECUTE:
            self = .execute(try TagInstruction(unsafe Self.decode(tagmem_instruction.self, argument)))
        case ctagmem_ACCESS:
            self = .access(try CheckedAccess(unsafe Self.decode(tagmem_access.self, argument)))
        case ctagmem_GET_PROCESSOR: self = .processor
        case ctagmem_SET_PROCESSOR:
            self = .setProcessor(
                try ProcessorState(unsafe Self.decode(tagmem_processor.self, argument)))
        case ctagmem_GET_MODE: self = .mode
        case ctagmem_SET_MODE:
            guard let mode = TagCheckMode(ioctl: try unsafe Self.decode(UInt32.self, argument)) else {
                throw .invalid
            }
            self = .setMode(mode)
        case ctagmem_REPORT_FAULT:
            self = .report(try CheckedAccess.Report(unsafe Self.decode(tagmem_report.self, argument)))
        default: throw .unknownCommand
        }
    }

    private static func decode<Value: BitwiseCopyable>(
        _: Value.Type, _ argument: UnsafeRawBufferPointer
    ) throws(FileError) -> Value {
        guard argument.count == MemoryLayout<Value>.size else { throw .invalid }
        return unsafe argument.loadUnaligned(as: Value.self)
    }

    private static func count(of tags: tagmem_tags) throws(FileError) -> Int {
        guard tags.reserved == 0, (1...UInt32(TAGMEM_TAGS_MAX)).contains(tags.count) else { throw .invalid }
        return Int(tags.count)
    }

    private static func fill(_ fill: tagmem_fill) throws(FileError) -> Self {
        let address = TaggedPointer(rawValue: fill.address)
        guard isZero(fill.reserved), fill.tag < 16, fill.zero <= 1, fill.length > 0,
            address.address % TagGranule.size == 0, fill.length % TagGranule.size == 0
        else { throw .invalid }
        let tag = AllocationTag(truncating: UInt64(fill.tag))
        return .fill(at: address, count: fill.length, tag, zeroing: fill.zero == 1)
    }

    /// Whether a reserved field is 0.
    static func isZero<Field: BitwiseCopyable>(_ field: Field) -> Bool {
        unsafe withUnsafeBytes(of: field) { bytes in unsafe bytes.allSatisfy { $0 == 0 } }
    }
}

extension TagCheckMode {
    /// From TAGMEM_MODE_…; nil for bits without a meaning.
    init?(ioctl value: UInt32) {
        guard value < 1 << 4, let faults = Faults(rawValue: UInt8(value & 3)) else { return nil }
        self.init(faults, Options(rawValue: UInt8(value >> 2)))
    }

    var ioctl: UInt32 { UInt32(faults.rawValue) | UInt32(options.rawValue) << 2 }
}

extension ProcessorState {
    init(_ processor: tagmem_processor) throws(FileError) {
        guard processor.gcr_rrnd <= 1, processor.tco <= 1, processor.tcma <= 1, processor.rgsr_tag < 16,
            MemoryIoctl.isZero(processor.reserved)
        else { throw .invalid }
        self.init()
        control = TagControl(
            excluded: processor.gcr_exclude, usesImplementationRandomness: processor.gcr_rrnd == 1,
            seed: processor.rgsr_seed, lastTag: AddressTag(truncating: UInt64(processor.rgsr_tag)))
        overridesChecks = processor.tco == 1
        trustsTagZero = processor.tcma == 1
    }

    var ioctl: tagmem_processor {
        var processor = tagmem_processor()
        processor.gcr_exclude = control.excluded
        processor.gcr_rrnd = control.usesImplementationRandomness ? 1 : 0
        processor.rgsr_seed = control.seed
        processor.rgsr_tag = control.lastTag.rawValue
        processor.tco = overridesChecks ? 1 : 0
        processor.tcma = trustsTagZero ? 1 : 0
        return processor
    }
}

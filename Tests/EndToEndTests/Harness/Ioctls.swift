import CTagMemABI
import Glibc

/// The device's ioctls, each as a function that throws what it fails with.
extension File {
    /// Any command. Returns ioctl's result; the argument is what it gives back.
    @discardableResult
    func control<Argument: BitwiseCopyable>(
        _ command: UInt32, _ argument: inout Argument
    ) throws(Errno) -> Int {
        // SAFETY: the command's number says how large its argument is; tests of wrong ones give it a page.
        Int(try check { unsafe ioctl(descriptor, UInt(command), &argument) })
    }

    func loadTags(at address: UInt64, count: Int) throws(Errno) -> [UInt8] {
        var tags = tagmem_tags()
        tags.address = address
        tags.count = UInt32(count)
        try control(ctagmem_GET_TAGS, &tags)
        return unsafe withUnsafeBytes(of: tags.tags) { unsafe Array($0.prefix(count)) }
    }

    func storeTags(_ values: [UInt8], at address: UInt64) throws(Errno) {
        var tags = tagmem_tags()
        tags.address = address
        tags.count = UInt32(values.count)
        unsafe withUnsafeMutableBytes(of: &tags.tags) { unsafe $0.copyBytes(from: values) }
        try control(ctagmem_SET_TAGS, &tags)
    }

    /// Returns the bytes that are done.
    @discardableResult
    func fillTags(_ tag: UInt8, at address: UInt64, length: UInt64, zero: Bool = false) throws(Errno) -> Int {
        var fill = tagmem_fill()
        fill.address = address
        fill.length = length
        fill.tag = tag
        fill.zero = zero ? 1 : 0
        return try control(ctagmem_FILL_TAGS, &fill)
    }

    /// Returns xt.
    @discardableResult
    func execute(
        _ operation: tagmem_operation, xt: UInt64 = 0, xn: UInt64, xm: UInt64 = 0, offset: UInt64 = 0,
        tagOffset: UInt64 = 0
    ) throws(Errno) -> UInt64 {
        var instruction = tagmem_instruction()
        instruction.operation = operation.rawValue
        (instruction.xt, instruction.xn, instruction.xm) = (xt, xn, xm)
        instruction.offset = UInt16(offset)
        instruction.tag_offset = UInt8(tagOffset)
        try control(ctagmem_EXECUTE, &instruction)
        return instruction.xt
    }

    func load(_ pointer: UInt64, count: Int) throws(Errno) -> (bytes: [UInt8], fault: tagmem_fault) {
        var access = tagmem_access()
        access.address = pointer
        access.size = UInt32(count)
        try control(ctagmem_ACCESS, &access)
        return (unsafe withUnsafeBytes(of: access.bytes) { unsafe Array($0.prefix(count)) }, access.fault)
    }

    func store(_ bytes: [UInt8], _ pointer: UInt64) throws(Errno) -> tagmem_fault {
        var access = tagmem_access()
        access.address = pointer
        access.size = UInt32(bytes.count)
        access.store = 1
        unsafe withUnsafeMutableBytes(of: &access.bytes) { unsafe $0.copyBytes(from: bytes) }
        try control(ctagmem_ACCESS, &access)
        return access.fault
    }

    func processor() throws(Errno) -> tagmem_processor {
        var processor = tagmem_processor()
        try control(ctagmem_GET_PROCESSOR, &processor)
        return processor
    }

    func setProcessor(_ change: (inout tagmem_processor) -> Void) throws(Errno) {
        var processor = try processor()
        change(&processor)
        try control(ctagmem_SET_PROCESSOR, &processor)
    }

    func modeNumber() throws(Errno) -> UInt32 {
        var mode: UInt32 = 0
        try control(ctagmem_GET_MODE, &mode)
        return mode
    }

    func setModeNumber(_ mode: UInt32) throws(Errno) {
        var mode = mode
        try control(ctagmem_SET_MODE, &mode)
    }
}

import Testing

@testable import TagMemCore

@Suite("Memory of tables") struct TableMemoryTests {
    @Test(
        "tables begin at a huge page once they are as large as one",
        arguments: [64, 5000, 2 << 20, (5 << 20) + 4096])
    func memory(_ bytes: Int) throws {
        let memory = try TableMemory(bytes: bytes)
        let address = UInt(bitPattern: unsafe memory.base)
        #expect(address.isMultiple(of: bytes < 2 << 20 ? 64 : 2 << 20))
        // SAFETY: the last byte of the memory.
        unsafe memory.base.storeBytes(of: 1, toByteOffset: bytes - 1, as: UInt8.self)
        // SAFETY: as above.
        let byte = unsafe memory.base.load(fromByteOffset: bytes - 1, as: UInt8.self)
        #expect(byte == 1)
    }
}

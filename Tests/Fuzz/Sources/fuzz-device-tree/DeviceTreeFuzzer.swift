import TagMemDeviceTree

/// Any bytes are refused, or describe a machine that each dialect can describe again.
@c(LLVMFuzzerTestOneInput)
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    // SAFETY: the fuzzer gives `count` bytes that live for the call.
    let blob = unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    guard let tree = try? DeviceTree(blob: blob) else { return 0 }
    precondition((try? DeviceTree(blob: tree.flattened())) == tree, "the tree changes when it is written")
    do throws(DeviceTreeError) {
        let machine = try MachineDescription(tree)
        for dialect in DeviceTreeDialect.allCases {
            guard let written = try? DeviceTree(describing: machine.map, in: dialect) else { continue }
            let again = try? MachineDescription(blob: written.flattened())
            precondition(again?.map == machine.map, "the machine changes in the dialect \(dialect)")
        }
    } catch {
        precondition(error.description.allSatisfy { !$0.isNewline }, "an error of several lines")
        if case .map = error.problem { preconditionFailure("no node is named: \(error)") }
    }
    return 0
}

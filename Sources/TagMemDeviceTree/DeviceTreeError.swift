/// Why a device tree describes no machine: where, and what.
public struct DeviceTreeError: Error, Equatable, CustomStringConvertible {
    /// The path of the node; nil if it is the blob as a whole.
    public let node: String?
    /// The name of the property.
    public let property: String?
    public let problem: Problem

    init(_ problem: Problem, node: String? = nil, property: String? = nil) {
        self.node = node
        self.property = property
        self.problem = problem
    }

    /// `/reserved-memory/mte: storage-base: …`
    public var description: String {
        [node ?? "the device tree", property, problem.description].compactMap { $0 }.joined(separator: ": ")
    }
}

public import ArgumentParser
public import TagMemCore

extension ByteCount: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }

    public var defaultValueDescription: String { "0x" + String(value, radix: 16) }
}

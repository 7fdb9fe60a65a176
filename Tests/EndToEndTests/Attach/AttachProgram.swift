import Glibc

/// A program of Tests/Attach, and how it is run: the folder that its Makefile puts it in says so.
struct AttachProgram: CustomStringConvertible, Sendable {
    enum Kind: String, CaseIterable { case plain, object, ways, daemon, aliases, views }

    let kind: Kind
    let name: String
    /// In which way the object is attached, where the program is to be told.
    let way: String?

    var path: String { "\(Self.folder)/\(kind.rawValue)/\(name)" }
    var description: String { (["\(kind)/\(name)"] + (way.map { [$0] } ?? [])).joined(separator: " ") }

    /// Where they are: TAGMEMD_ATTACH, or `.build/attach` beside the sources.
    static let folder: String = {
        if let path = unsafe getenv("TAGMEMD_ATTACH") { return unsafe String(cString: path) }
        return "\(sources)/.build/attach"
    }()

    /// Where the package is.
    static let sources = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")

    /// All that were built.
    static let all: [AttachProgram] = Kind.allCases.flatMap { kind -> [AttachProgram] in
        let found = (try? names(in: "\(folder)/\(kind.rawValue)")) ?? []
        return found.filter { !$0.hasSuffix(".d") }.flatMap { name -> [AttachProgram] in
            let ways: [String?] = kind == .ways ? ["aliases", "views"] : [nil]
            return ways.map { AttachProgram(kind: kind, name: name, way: $0) }
        }
    }

    /// Its arguments, where it is given an object.
    func arguments(_ device: Device, _ object: String) -> [String] {
        switch kind {
        case .plain, .aliases, .views: []
        case .object: [device.path(object)]
        case .ways: [device.path(object), way ?? ""]
        case .daemon: [device.path(object), "\(device.daemon.pid)"]
        }
    }

    func environment(_ device: Device, _ object: String) -> [String: String] {
        guard kind == .aliases || kind == .views else { return [:] }
        return ["TAGMEM_OBJECT": device.path(object), "TAGMEM_ATTACH": kind.rawValue]
    }
}

import TagMemCore

@testable import TagMemFS

extension SimulatedKernel {
    /// A request that the simulated kernel waits for the answer of.
    final class Request: DecidedOperation, Completion, CustomStringConvertible, @unchecked Sendable {
        enum Kind {
            case directRead
            case directWrite(value: UInt8)
            /// Fills these pages, which are locked.
            case fill([Int])
            /// Writes a part of this page, which is locked, through the page cache.
            case cachedWrite(page: Int, part: Range<Int>, value: UInt8)
            case modeChange(TagCheckMode)
            /// fsync: waits for recalls of fillings of pages.
            case sync(recalled: [(page: Int, instance: Int)])
        }

        let number: Int
        let kind: Kind
        /// The access, as it was asked for, and then as it was granted.
        var claim: MemoryAccess?
        let file: String
        unowned let kernel: SimulatedKernel
        /// The content before and the stores since the request was made, for what a read may see.
        var contentBefore: [UInt8] = []
        var historyPosition = 0
        var mode = TagCheckMode.none
        var wasQueued = false

        init(_ kernel: SimulatedKernel, _ kind: Kind, claim: MemoryAccess?, file: String) {
            self.kernel = kernel
            self.kind = kind
            self.claim = claim
            self.file = file
            number = kernel.nextRequest
            kernel.nextRequest += 1
        }

        func run(_ grant: Decided) { kernel.decided(self, grant) }
        func run(_ error: FileError?) { kernel.changed(self, error) }

        var description: String {
            let name =
                switch kind {
                case .directRead: "read"
                case .directWrite: "write"
                case .fill(let pages): "fill of \(pages.count)"
                case .cachedWrite: "cached write"
                case .modeChange(let mode): "mode=\(mode)"
                case .sync: "sync"
                }
            var place = ""
            if let claim, claim.footprint.spans.count > 0 {
                place = " lines \(claim.footprint.spans[0].lines)"
                if claim.footprint.spans.count > 1 { place += "…" }
            }
            return "#\(number) \(name) \(file)\(place)"
        }

        /// Whether both change or need the same lines so that one of them has to come first.
        func conflicts(with other: Request) -> Bool {
            guard let claim, let otherClaim = other.claim, claim.isWrite || otherClaim.isWrite else {
                return false
            }
            for index in claim.footprint.spans.indices {
                for otherIndex in otherClaim.footprint.spans.indices
                where claim.footprint.spans[index].lines.overlaps(
                    otherClaim.footprint.spans[otherIndex].lines)
                {
                    return true
                }
            }
            return false
        }

        /// The lines of tags that the request checks while it copies.
        var checkedLines: [Range<Int>] {
            guard let claim, claim.checksDirectly else { return [] }
            return claim.footprint.spans.indices.map { claim.footprint.spans[$0].companions }
        }
    }

    /// What a step can begin with.
    enum Action: Int, CaseIterable {
        case directRead, directWrite, retag, fill, fillMany, cachedWrite, modeChange, sync
        case store, evict, writeBack, openForWriting, closeForWriting

        var isRequest: Bool { rawValue <= Self.sync.rawValue }
    }
}

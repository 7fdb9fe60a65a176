import TestSupport
import Testing

@testable import TagMemCore

@Suite("Lists of blocks", .repeatable) struct BlockListsTests {
    @Test("a list gives its front, then by address, and forgets what left")
    func lists() throws {
        try withSeed { generator in
            let blocks = 5000
            var lists = try BlockLists(blocks: blocks)
            var model: [BlockIndex: BlockLists.ID] = [:]
            let ids = [BlockLists.ID.pool] + (0..<8).map { BlockLists.ID(.untagged, level: $0) }
            for _ in 0..<3000 {
                let block = BlockIndex(UInt32(Int.random(in: 0..<60, using: &generator) * 83))
                if let list = model[block] {
                    lists.remove(block, from: list)
                    model[block] = nil
                } else {
                    let list = ids[Int.random(in: 0..<ids.count, using: &generator)]
                    lists.insert(block, into: list)
                    model[block] = list
                    let first = lists.first(list)
                    try #require(first == block, "who came last comes first")
                }
                for list in ids { try compare(&lists, list, model.filter { $0.value == list }.keys) }
                let levels = ids.dropFirst().filter { model.values.contains($0) }
                let (fullest, sparsest) = (lists.fullest(.untagged), lists.sparsest(.untagged))
                try #require(fullest.flatMap { model[$0] } == levels.first)
                try #require(sparsest.flatMap { model[$0] } == levels.last)
                let room = lists.fullest(.room)
                try #require(room == nil)
            }
        }
    }

    private func compare(
        _ lists: inout BlockLists, _ list: BlockLists.ID, _ members: some Collection<BlockIndex>
    ) throws {
        let first = lists.first(list)
        try #require(first == nil ? members.isEmpty : members.contains { $0 == first })
        var found: [BlockIndex] = []
        _ = lists.first(list) {
            found.append($0)
            return false
        }
        try #require(found.first == first)
        try #require(found.dropFirst().elementsEqual(found.dropFirst().sorted()))
        try #require(found.sorted() == members.sorted())
        for member in members {
            let isMember = lists.contains(member, in: list)
            try #require(isMember)
        }
    }

    @Test(
        "the fuller a block, the lower its level", arguments: [(32, 1), (1, 1), (2, 1), (64, 2), (2048, 64)])
    func levels(_ dataPages: Int, _ tagPages: Int) {
        let geometry = BlockGeometry(dataPages: dataPages, tagPages: tagPages)
        let levels = BlockLevels(geometry)
        var record = BlockRecord()
        #expect(levels.list(for: record) == .pool)
        record.state = .untagged
        var last = 7
        for used in 1...geometry.pages {
            record = record.occupying(.untagged, isTagPage: used > dataPages)
            let list = levels.list(for: record)
            #expect((list == .none) == (used == geometry.pages))
            guard list != .none else { break }
            #expect(list.rawValue >> 3 == BlockLists.Kind.untagged.rawValue)
            #expect(list.rawValue & 7 <= last)
            last = Int(list.rawValue & 7)
        }
        record = BlockRecord()
        record.state = .tagged
        last = 7
        for tagged in 0..<dataPages {
            var full = record
            for _ in tagged..<dataPages { full = full.occupying(.untagged, isTagPage: false) }
            let level = levels.list(for: record).rawValue & 7
            #expect(levels.list(for: record) == BlockLists.ID(.room, level: Int(level)))
            #expect(levels.list(for: full) == BlockLists.ID(.lent, level: Int(level)))
            #expect(level <= last)
            last = Int(level)
            record = record.occupying(.tagged, isTagPage: false)
        }
        #expect(levels.list(for: record) == .none)
        record.marks = .claimed
        #expect(levels.list(for: record) == .none)
    }
}

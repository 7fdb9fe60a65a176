/// Emptying tagged blocks: how reserved Tag Pages come back.
extension PageAllocator {
    enum Emptying { case done, outOfBudget, failed }

    /// Data Pages of tagged blocks that tagged pages could be moved to: d * taggedBlocks - t - pinnedLent.
    private var slack: Int { geometry.dataPages * taggedBlocks - taggedPages - pinnedLent }

    /// Whether the block's tagged pages have room in the other tagged blocks, and may leave.
    ///
    /// The room of the others is slack - (d - tagged - pinnedData), and tagged pages must fit: slack >= d - pinnedData.
    func canEmpty(_ record: BlockRecord, except marks: BlockRecord.Marks) -> Bool {
        record.state == .tagged && !record.isFixed && record.pinnedTagged == 0
            && record.marks.isDisjoint(with: marks)
            && slack >= geometry.dataPages - record.pinnedData
    }

    /// The sparsest tagged block that can be emptied into the others; nil if the tagged blocks are as few as can be.
    func emptiable(except marks: BlockRecord.Marks) -> BlockIndex? {
        guard slack > 0, slack >= geometry.dataPages || pinnedLent > 0, !hasFewestTaggedBlocks else {
            return nil
        }
        let room = firstBlock(.room, sparsestFirst: true) { canEmpty($1, except: marks) }
        let lent = firstBlock(.lent, sparsestFirst: true) { canEmpty($1, except: marks) }
        guard let room, let lent else {
            return room ?? lent ?? fullEmptiable(except: marks)
        }
        return table[room].tagged <= table[lent].tagged ? room : lent
    }

    /// Only where pages cannot move, or the room is in blocks whose tags are hidden, can it be that none but a fully
    /// tagged block, which is in no list, is left to empty.
    private func fullEmptiable(except marks: BlockRecord.Marks) -> BlockIndex? {
        guard slack >= geometry.dataPages,
            pinnedPages > 0 || fixedBlocks > 0 || !marked.isEmpty || !refused.isEmpty
        else { return nil }
        return (0..<freshBlock).lazy.map { BlockIndex(UInt32($0)) }.first {
            canEmpty(self.table[$0], except: marks)
        }
    }

    /// Moves the tagged pages of a block to other tagged blocks: to free Data Pages while there are any, otherwise in
    /// exchange for lent pages. What has moved stays moved, also when not all could.
    mutating func empty(
        _ block: BlockIndex, budget: inout Int, _ mover: inout (some PageMover & ~Copyable)
    ) -> Emptying {
        mark(block, .claimed)
        var outcome = Emptying.done
        var position = 0
        while table[block].tagged > 0 {
            guard budget > 0 else {
                outcome = .outOfBudget
                break
            }
            guard let page = movable(.tagged, in: block, position..<geometry.dataPages),
                moveTagged(page, budget: &budget, &mover)
            else {
                outcome = .failed
                break
            }
            position = page.position + 1
        }
        unmark(block, .claimed)
        if outcome == .failed, !mover.hasGivenUp { mark(block, .tried) }
        settle(block, &mover)
        return outcome
    }

    /// One tagged page leaves its block, which is claimed.
    private mutating func moveTagged(
        _ page: Place, budget: inout Int, _ mover: inout (some PageMover & ~Copyable)
    ) -> Bool {
        budget -= 1
        if let target = lists.fullest(.room), let place = freeDataPlace(in: target) {
            return migrate(page, to: place, &mover)
        }
        while !mover.hasGivenUp,
            let target = firstBlock(.lent, sparsestFirst: false, where: { !$1.marks.contains(.lentTried) })
        {
            var position = 0
            while let lent = movable(.untagged, in: target, position..<geometry.dataPages) {
                switch exchange(page, lent, &mover) {
                case .done: return true
                case .firstRefused: return false
                case .secondRefused: position = lent.position + 1
                }
                if position >= geometry.dataPages || mover.hasGivenUp { break }
            }
            mark(target, .lentTried)
        }
        return false
    }

    /// Empties one tagged block for an allocation that found no page, trying others if pages refuse.
    mutating func emptyBlock(_ mover: inout (some PageMover & ~Copyable)) -> Bool {
        while !mover.hasGivenUp, let block = emptiable(except: .tried) {
            var budget = Int.max
            if empty(block, budget: &budget, &mover) == .done {
                counters.directCompactions += 1
                return true
            }
        }
        return false
    }
}

/// Memory that is not whole Tag Blocks with Tag Pages of their own. To the rest of the allocator it is blocks like all
/// others, some of whose pages are in use for good:
///
/// ```
///   ordinary memory       its Tag Pages are not there: untagged for good, and never turned to tagged use
///   hidden tags           tagged for good, with Tag Pages that are always reserved: nothing to give back
///   reserved memory       pages of a block that are not there
/// ```
extension PageAllocator {
    /// Brings the blocks that the layout has first to the state that they keep.
    mutating func setUpSpecialBlocks() {
        freshBlock = layout.specialBlocks
        for region in layout.regions where region.firstBlock < layout.specialBlocks {
            for index in region.firstBlock..<region.firstBlock + region.blocks {
                setUp(BlockIndex(UInt32(index)), region.kind)
            }
        }
        for absence in layout.absences {
            for position in absence.positions { takeAway(Place(absence.block, position)) }
        }
    }

    private mutating func setUp(_ block: BlockIndex, _ kind: BlockLayout.Region.Kind) {
        switch kind {
        case .ordinary:
            for position in geometry.dataPages..<geometry.pages { takeAway(Place(block, position)) }
        case .hiddenTags:
            let old = table[block]
            var record = old
            record.isFixed = true
            record.state = .tagged
            record.tagPageUse = .tags
            freeBlocks -= 1
            taggedBlocks += 1
            fixedBlocks += 1
            pinnedBlocks.change(from: old, to: record)
            relist(block, record)
        case .shared:
            relist(block, table[block])
        }
    }

    /// A page is in use and pinned from now on.
    private mutating func takeAway(_ place: Place) {
        var record = table[place.block]
        if record.state == .free {
            record.state = .untagged
            table[place.block] = record
            freeBlocks -= 1
        }
        let entry = PageEntry(.untagged, .absent).pinned(true)
        occupy(place, entry)
        countPin(place, .untagged, true)
        pinnedPages += 1
        absentPages += 1
        if isTagPage(place) {
            absentTagPages += 1
        } else {
            lists.setHasPinnedPages(place.block, true)
        }
    }
}

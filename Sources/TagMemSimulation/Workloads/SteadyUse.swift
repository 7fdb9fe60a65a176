import TagMemCore

extension Machine {
    /// Fills 85 % of the memory, and from then on replaces a page at random by a new one, of which `taggedPercent` in
    /// 100 are tagged.
    ///
    /// Pages live long and die one by one, which is what spreads the tagged ones over many Tag Blocks.
    mutating func useSteadily(taggedPercent: Int) {
        var pages = PagePool()
        let target = totalPages * 85 / 100
        while !isOver {
            if pages.count > target { freeAny(of: &pages) }
            let use: PageUse = random.chance(percent: taggedPercent) ? .tagged : .untagged
            if !allocate(use, into: &pages), !pages.isEmpty { freeAny(of: &pages) }
        }
    }
}

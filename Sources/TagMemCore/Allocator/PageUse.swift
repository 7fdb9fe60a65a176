/// What a page is allocated for.
public enum PageUse: UInt8, Sendable, CaseIterable {
    /// Data without allocation tags: any page that is not a reserved Tag Page.
    case untagged = 1
    /// Data with allocation tags: a Data Page whose Tag Page is reserved.
    case tagged = 2
}

/// What a Tag Page's DRAM holds. Every change needs a Tag Storage Clean before the new use.
public enum TagPageUse: UInt8, Sendable {
    case data = 0
    case tags = 1
}

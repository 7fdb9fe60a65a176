/// Checks of memory that may be without allocation tags: there, canonical tag checks hold. Arm ARM,
/// FEAT_MTE_CANONICAL_TAGS.
extension DRAM {
    /// As `firstMismatch(of:at:count:)`, of any memory: where it has no tags, the only tag that matches is the one that
    /// canonical pointers have.
    ///
    /// - Parameter pointer: whose tags are compared: its bits 59:56 and 55. Where it points does not matter.
    public func firstMismatch(
        ofTagIn pointer: TaggedPointer, at address: PhysicalAddress, count: Int
    ) -> PhysicalAddress? {
        var position = address
        var left = count
        while left > 0, let run = run(at: position, limit: left) {
            if run.tagAddress == nil {
                if pointer.addressTag != pointer.canonicalTag { return position }
            } else if let mismatch = firstMismatch(of: pointer.addressTag, at: position, count: run.count) {
                return mismatch
            }
            position = position + UInt64(run.count)
            left -= run.count
        }
        return nil
    }

    /// What an access is compared with at `address`: the allocation tag, or where memory has none, the canonical one of
    /// the lower half of the address space.
    public func tagToMatch(at address: PhysicalAddress) -> AllocationTag {
        guard let run = run(at: address, limit: 1), run.tagAddress != nil else {
            return AllocationTag(truncating: 0)
        }
        return allocationTag(at: address)
    }
}

/// Frames and physical addresses. Linear in the number of regions, which is small.
extension BlockLayout {
    /// Where the page is.
    public func address(of frame: PageFrame) -> PhysicalAddress { address(of: Place(frame, geometry)) }

    /// Where the block's first Data Page is.
    public func address(of block: BlockIndex) -> PhysicalAddress { address(of: Place(block, 0)) }

    /// Where the block's first Tag Page is.
    public func tagPageAddress(of block: BlockIndex) -> PhysicalAddress {
        address(of: Place(block, geometry.dataPages))
    }

    func address(of place: Place) -> PhysicalAddress {
        for region in regions where place.block.offset - region.firstBlock < region.blocks {
            let index = UInt64(place.block.offset - region.firstBlock)
            let position = place.position
            if position < geometry.dataPages {
                return region.data + (index * UInt64(geometry.dataPages) + UInt64(position)) * pageSize
            }
            let tagPosition = UInt64(position - geometry.dataPages)
            return region.tags + (index * UInt64(geometry.tagPages) + tagPosition) * pageSize
        }
        preconditionFailure("no such Tag Block")
    }

    /// The page that holds the byte at `address`; nil where memory is not the allocator's.
    public func frame(at address: PhysicalAddress) -> PageFrame? {
        for region in regions {
            let data = UInt64(region.blocks * geometry.dataPages)
            if region.data <= address, address - region.data < data * pageSize {
                return frame(
                    (address - region.data) / pageSize, region, pages: geometry.dataPages, first: 0)
            }
            let tags = UInt64(region.blocks * geometry.tagPages)
            if region.kind == .shared, region.tags <= address, address - region.tags < tags * pageSize {
                return frame(
                    (address - region.tags) / pageSize, region, pages: geometry.tagPages,
                    first: geometry.dataPages)
            }
        }
        return nil
    }

    private func frame(_ page: UInt64, _ region: Region, pages: Int, first: Int) -> PageFrame {
        let (block, position) = Int(page).quotientAndRemainder(dividingBy: pages)
        return PageFrame(Place(BlockIndex(UInt32(region.firstBlock + block)), first + position), geometry)
    }

    /// The block that the page belongs to.
    public func block(of frame: PageFrame) -> BlockIndex { Place(frame, geometry).block }

    /// Whether the page is a Tag Page, which is never tagged.
    public func isTagPage(_ frame: PageFrame) -> Bool {
        Place(frame, geometry).position >= geometry.dataPages
    }
}

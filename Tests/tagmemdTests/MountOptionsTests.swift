import ArgumentParser
import TagMemCore
import Testing

@testable import tagmemd

@Suite("MountOptions") struct MountOptionsTests {
    @Test("the device's own options") func own() throws {
        let options = try MountOptions(["size=2G,base=0x80000000", "page_cache"])
        #expect(options.size == ByteCount(2 << 30))
        #expect(options.base == ByteCount(0x8000_0000))
        #expect(options.usesPageCache && options.passedOn.isEmpty)
        // The last one counts.
        #expect(try MountOptions(["size=1G,size=2M"]).size == ByteCount(2 << 20))
    }

    @Test("options of the kernel and of libfuse are passed on as they are") func passedOn() throws {
        let options = try MountOptions(["allow_other,ro", "context=\"a=b\",max_read=4096"])
        #expect(options.passedOn == ["allow_other", "ro", "context=\"a=b\"", "max_read=4096"])
    }

    @Test("an fstab's options for others are ignored") func ignored() throws {
        let lists = ["defaults,noauto,user,nofail,_netdev", "x-systemd.automount,x-gvfs-name=a,,", ""]
        #expect(try MountOptions(lists) == MountOptions())
    }

    @Test(
        "what nobody knows, and values that make no sense, are refused",
        arguments: [
            "sise=1G", "size", "size=", "size=x", "base=-1", "base", "page_cache=1", "fsname=x", "SIZE=1G",
            "ro,bogus", "=", "fd=3",
        ])
    func refused(_ list: String) { #expect(throws: ValidationError.self) { try MountOptions([list]) } }
}

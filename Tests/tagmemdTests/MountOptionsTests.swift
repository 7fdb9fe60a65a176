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

    @Test(
        "options of the kernel and of libfuse are passed on as they are",
        arguments: [
            "allow_other", "allow_root", "auto_unmount", "rw", "ro", "suid", "nosuid", "dev", "nodev", "exec",
            "noexec", "sync", "async", "dirsync", "atime", "noatime",
        ])
    func passedOn(_ option: String) throws {
        #expect(try MountOptions(["size=1G,\(option)"]).passedOn == [option])
        // None of them takes a value.
        #expect(throws: ValidationError.self) { try MountOptions(["\(option)=1"]) }
    }

    @Test("an fstab's options for others are ignored") func ignored() throws {
        let lists = [
            "defaults,noauto,user,nofail,_netdev,user=me", "x-systemd.automount,x-gvfs-name=a,,", "",
            "default_permissions,relatime,strictatime",
        ]
        #expect(try MountOptions(lists) == MountOptions())
    }

    @Test(
        "what nobody knows, and values that make no sense, are refused",
        arguments: [
            "sise=1G", "size", "size=", "size=x", "base=-1", "base", "page_cache=1", "fsname=x", "SIZE=1G",
            "ro,bogus", "=", "nonempty", "allow_root,allow_other", "allow_other,ro,allow_root",
        ])
    func refused(_ list: String) { #expect(throws: ValidationError.self) { try MountOptions([list]) } }

    @Test(
        "what mount.fuse3(8) has and a device cannot have is refused by name",
        arguments: [
            "rootmode=40755", "blkdev", "blksize=512", "max_read=65536", "fd=3", "user_id=0", "group_id=0",
            "fsname=x", "subtype=x", "kernel_cache", "auto_cache", "umask=022", "uid=0", "gid=0",
            "entry_timeout=1", "negative_timeout=1", "attr_timeout=1.5", "ac_attr_timeout=1", "noforget",
            "remember=1", "modules=iconv", "setuid=nobody", "drop_privileges", "from_code=UTF-8",
            "to_code=UTF-8", "subdir=/", "rellinks", "norellinks", "remount", "context=\"a:b,c\"", "debug",
        ])
    func refusedByName(_ option: String) {
        let name = option.split(separator: "=")[0]
        do {
            _ = try MountOptions(["ro,\(option)"])
            Issue.record("accepted")
        } catch {
            let text = MountCommand.message(for: error)
            #expect(text.hasPrefix("mount option '\(name)': ") && !text.contains("\n"), "\(text)")
        }
    }
}

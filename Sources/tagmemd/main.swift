import TagMemCore
import TagMemFS

var configuration = Session.Configuration(mountpoint: CommandLine.arguments[1])
let session = try Session(map: MemoryMap(base: PhysicalAddress(0x4000_0000), size: 1 << 30), configuration)
try session.run {}

/// How a device tree says where tags are.
public enum DeviceTreeDialect: String, Sendable, CaseIterable {
    /// The dynamic carveout proposal's, as its QEMU prototype writes it: `storage-base`.
    case proposal
    /// Arm's RFC series "arm64 MTE dynamic tag storage reuse", second version: `memory`, outside of `/reserved-memory`.
    case rfcV2 = "rfc-v2"
    /// The third version: `tagged-memory`, in `/reserved-memory`.
    case rfcV3 = "rfc-v3"
}

/// Pages of one alias's file that the kernel is to give back.
struct RecallJob {
    let aliases: ObjectAliases
    let kind: AliasKind
    /// Bytes of the alias's file, whole pages.
    var offset: UInt64
    var length: UInt64
    /// The order in which recalls were asked for. A repeated recall keeps its place.
    let sequence: UInt64
}

// What the model costs by itself, as tables in Markdown: medians, and ratios against a named baseline in alternation.
//
//     core-bench [GIB [TABLE…]]    GIB: the largest memory to emulate (1024, or what the machine has room for)
//                                  TABLE: checks, pairs, fill, conversions, migrations, threads, metadata (all)
//
// The tables of 1 TiB take 2.5 GiB once all of it was used, the baseline's as much, and the numbers of the pages one.
import Glibc
import TagMemCore

let largest = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1024
let room = availableMemory()
let sizes = [("1 GiB", 1), ("64 GiB", 64), ("1 TiB", 1024)]
    .filter { $0.1 <= largest && $0.1 * 8 << 20 < room }
    .map { (name: $0.0, bytes: $0.1 << 30) }

let tables: [(name: String, run: () throws -> Void)] = [
    ("checks", TagChecks.run),
    ("pairs", { try Pairs.run(sizes) }),
    ("fill", { try Fill.run(sizes.filter { $0.bytes <= 64 << 30 }) }),
    ("conversions", Conversions.run),
    ("migrations", Migrations.run),
    ("threads", Threads.run),
    ("metadata", { try Metadata.run(sizes) }),
]
let chosen = CommandLine.arguments.dropFirst(2)
for table in tables where chosen.isEmpty || chosen.contains(table.name) { try table.run() }

import Glibc
import Testing

extension Trait where Self == ConditionTrait {
    /// For tests that mount other file systems or become other users. As root, as in CI, all of them run.
    static var needsRoot: Self { .enabled(if: geteuid() == 0, "only root can mount and become another user") }
}

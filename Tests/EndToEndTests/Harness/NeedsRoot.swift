import Glibc
import Testing

extension Trait where Self == ConditionTrait {
    /// For tests that mount other file systems or become other users. As root, as in CI, all of them run.
    static var needsRoot: Self { .enabled(if: geteuid() == 0, "only root can mount and become another user") }

    /// For tests that kill a daemon: its guard, of an ordinary user, needs /sys/fs/fuse/connections.
    static var needsAbort: Self {
        .enabled(if: geteuid() == 0 || mountTypes(at: "/sys/fs/fuse/connections") == ["fusectl"])
    }
}

import CFuse
import Glibc

/// Starts a thread that runs as long as the process, or until `body` returns.
func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let result = unsafe pthread_create(
        &thread, nil,
        { data in
            guard let data = unsafe data else { return nil }
            let context = unsafe Unmanaged<ThreadContext>.fromOpaque(data).takeRetainedValue()
            unsafe cfuse_name_thread(context.name)
            context.body()
            return nil
        }, unsafe Unmanaged.passRetained(ThreadContext(name: name, body: body)).toOpaque())
    precondition(result == 0, "no thread for \(name): \(errorText(result))")
    pthread_detach(thread)
}

private final class ThreadContext: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}

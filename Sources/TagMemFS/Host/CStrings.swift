import Glibc

/// Calls `body` with a NULL-terminated array of C strings, as exec and libfuse take them.
public func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    // SAFETY: the copies live until `body` returns, and `body` does not keep them.
    var copies: [UnsafeMutablePointer<CChar>?] = unsafe []
    for string in strings { unsafe copies.append(strdup(string)) }
    unsafe copies.append(nil)
    defer { for index in strings.indices { unsafe free(copies[index]) } }
    return unsafe copies.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("the array ends with NULL") }
        return unsafe body(base)
    }
}

/// What strerror(3) says.
public func errorText(_ error: Int32) -> String { unsafe String(cString: strerror(error)) }

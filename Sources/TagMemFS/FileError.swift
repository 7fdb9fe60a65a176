import Glibc

/// Why a request is refused. The only place that knows which errno says so; Documentation/ABI.md has the same table.
enum FileError: Error, Equatable {
    /// No memory at that address: a hole of the memory map.
    case hole
    /// Behind the last address.
    case pastEnd
    /// The memory is not MTE-capable: views do not show it.
    case notTaggable
    /// A tag check fault.
    case tagCheckFault
    /// An asynchronous tag check fault is reported now.
    case deferredFault
    /// No page to be had.
    case noSpace
    /// The value, offset or name makes no sense here.
    case invalid
    /// No file of that name.
    case notFound
    /// There is one of that name.
    case exists
    /// Another object has that name: it would have to be removed first.
    case notEmpty
    /// A rename of the object is under way.
    case busy
    /// Longer than a name can be.
    case nameTooLong
    /// The tree's structure is not the caller's to change.
    case notPermitted
    /// The file cannot be read, or not be written.
    case accessDenied
    /// Not a directory.
    case notDirectory
    /// A directory.
    case isDirectory
    /// Nothing to read now, and the caller does not want to wait.
    case wouldBlock
    /// The wait was interrupted.
    case interrupted
    /// A page-cache read of several pages is answered page by page instead.
    case readaheadRefused
    /// The file does not do this.
    case notSupported
    /// No ioctl of this file.
    case unknownCommand
    /// Too much is waiting already.
    case overloaded
    /// The file system is being unmounted.
    case unmounting

    var errno: Int32 {
        switch self {
        case .hole, .pastEnd: ENXIO
        case .notTaggable, .notSupported: EOPNOTSUPP
        case .tagCheckFault: EFAULT
        case .deferredFault: EIO
        case .noSpace: ENOSPC
        case .invalid: EINVAL
        case .notFound: ENOENT
        case .exists: EEXIST
        case .notEmpty: ENOTEMPTY
        case .busy: EBUSY
        case .nameTooLong: ENAMETOOLONG
        case .notPermitted: EPERM
        case .accessDenied: EACCES
        case .notDirectory: ENOTDIR
        case .isDirectory: EISDIR
        case .wouldBlock, .readaheadRefused: EAGAIN
        case .interrupted: EINTR
        case .unknownCommand: ENOTTY
        case .overloaded: ENOMEM
        case .unmounting: ENOTCONN
        }
    }
}

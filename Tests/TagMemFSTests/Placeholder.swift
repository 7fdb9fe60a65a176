import Testing

@testable import TagMemFS

import Testing

@testable import tagmemd

/// A list that needs no allocation for up to two elements, which is what a request on contiguous memory has.
struct ShortList<Element> {
    private var first: Element?
    private var second: Element?
    private var rest: [Element] = []

    private(set) var count = 0
    var indices: Range<Int> { 0..<count }
    var isEmpty: Bool { count == 0 }

    subscript(index: Int) -> Element {
        get {
            switch index {
            case 0: if let first { return first }
            case 1: if let second { return second }
            default: return rest[index - 2]
            }
            preconditionFailure("index \(index) of \(count)")
        }
        set {
            precondition(index < count)
            switch index {
            case 0: first = newValue
            case 1: second = newValue
            default: rest[index - 2] = newValue
            }
        }
    }

    mutating func append(_ element: Element) {
        switch count {
        case 0: first = element
        case 1: second = element
        default: rest.append(element)
        }
        count += 1
    }
}

extension ShortList: Sendable where Element: Sendable {}

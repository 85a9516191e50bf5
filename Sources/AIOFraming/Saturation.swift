// Sizes that a program chose, added up without overflowing: a maximum may be `Int.max`.

extension Int {
    /// The sum, or `Int.max` if it is more.
    func addingSaturated(_ other: Int) -> Int {
        let (sum, overflows) = addingReportingOverflow(other)
        return overflows ? .max : sum
    }
}

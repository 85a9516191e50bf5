// Makes a failing run smaller: which of its deviations from the plain run does it take to fail? Used by the trait.

/// Looks for few deviations that are enough, by leaving out half of them, quarters, and so on (delta debugging, Zeller and
/// Hildebrandt 2002).
///
/// The result is minimal in that leaving out any one of them makes the failure disappear, unless the runs were used up
/// before: each run is a whole run of the test.
struct Shrinking {
    /// Deviations of the run that failed.
    let count: Int
    var runsMax = 400

    /// - Parameter fails: whether the run fails in the same way with only these.
    func smallest(_ fails: (DeviationSet) async -> Bool) async -> DeviationSet {
        if await fails(DeviationSet([])) { return DeviationSet([]) }
        var kept = Array(1...max(count, 1))
        var parts = 2
        var runs = 1
        while kept.count > 1, runs < runsMax {
            var isSmaller = false
            for part in 0..<parts {
                let low = kept.count * part / parts, high = kept.count * (part + 1) / parts
                let rest = Array(kept[..<low] + kept[high...])
                guard !rest.isEmpty, rest.count < kept.count else { continue }
                runs += 1
                if await fails(DeviationSet(rest)) {
                    kept = rest
                    parts = max(parts - 1, 2)
                    isSmaller = true
                    break
                }
                if runs >= runsMax { break }
            }
            if isSmaller { continue }
            if parts >= kept.count { break }
            parts = min(parts * 2, kept.count)
        }
        return DeviationSet(kept)
    }
}

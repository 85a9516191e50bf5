// What libFuzzer calls. The environment variable FUZZ_TARGET says which of the targets is fuzzed.

#if canImport(Glibc)
    import Glibc
#endif

private let target: FuzzTarget = {
    let name = unsafe getenv("FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
        fatalError("FUZZ_TARGET is one of \(FuzzTarget.allCases.map(\.rawValue).joined(separator: " "))")
    }
    return target
}()

/// Tests one input, and traps if something is wrong with what comes of it.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // SAFETY: libFuzzer's data has `count` bytes, and they are copied.
    let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
    if let difference = target.difference(FuzzInput(bytes)) {
        fatalError("\(target.rawValue): \(difference)")
    }
    return 0
}

// Errors say what failed, on what, and why; codes follow from error numbers.

import SystemPackage
import Testing

@testable import AIOKernel

@Suite struct AIOErrorTests {
    @Test(arguments: [
        (
            AIOError(errno: .addressInUse, call: "bind", detail: "127.0.0.1:80"),
            "addressInUse: bind(127.0.0.1:80): Address already in use (errno 98)"
        ),
        (AIOError(errno: .noMemory, call: "mmap"), "outOfMemory: mmap: Cannot allocate memory (errno 12)"),
        (AIOError(.malformedEndpoint, detail: "\"x\" has no port"), "malformedEndpoint: \"x\" has no port"),
        (AIOError(.closed), "closed"),
    ])
    func `the description has every part that is known`(error: AIOError, text: String) {
        #expect(error.description == text)
    }

    @Test(arguments: [
        (Errno.addressInUse, AIOError.Code.addressInUse), (.noSuchFileOrDirectory, .notFound),
        (.permissionDenied, .permissionDenied), (.notPermitted, .permissionDenied),
        (.brokenPipe, .connectionReset),
        (.tooManyOpenFiles, .descriptorLimit), (.addressFamilyNotSupported, .unsupported),
        (.noRouteToHost, .unreachable),
        (.directoryNotEmpty, .other),
    ])
    func `the code follows from the error number`(errno: Errno, code: AIOError.Code) {
        #expect(AIOError(errno: errno, call: "x").code == code)
    }
}

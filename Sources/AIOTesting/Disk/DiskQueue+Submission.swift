// The way of a disk request into a simulated machine's queue: what io_submit(2) and the file system say to it
// before the device is asked. Called by SimulatedKernel+Disk.swift; DiskQueue.swift has the theory, and what
// comes afterwards.

import AIOKernel
import SystemPackage

extension DiskQueue {
    func submit(_ requests: [DiskRequest], to context: SimulatedDiskContext) -> CallResult {
        let offered = requests.prefix(context.room)
        guard !offered.isEmpty || requests.isEmpty else { return CallResult(.resourceTemporarilyUnavailable) }
        for request in offered { request.buffer.lend() }
        let result = take(offered, into: context)
        for request in offered.dropFirst(result.count) { request.buffer.takeBack() }
        return result
    }

    private func take(_ requests: ArraySlice<DiskRequest>, into context: SimulatedDiskContext) -> CallResult {
        guard let first = requests.first else { return CallResult(rawValue: 0) }
        var most = requests.count
        switch kernel.fault(submission(of: requests.count, first: first)) {
        case nil: if isPartial(most) { most = chance.number(in: 1...most - 1) }
        case .fail(let errno): return CallResult(errno)
        case .shorten(let count): most = min(most, max(count, 1))
        }
        for (index, request) in requests.prefix(most).enumerated() {
            if let errno = admit(request, into: context) {
                return index > 0 ? CallResult(rawValue: index) : CallResult(errno)
            }
        }
        return CallResult(rawValue: most)
    }

    private func submission(of count: Int, first: DiskRequest) -> SimulatedCall {
        let file = kernel.opened(first.target.descriptor.number) as? DiskFile
        var call = SimulatedCall(.submit, about: first, path: file?.path)
        call.byteCount = count
        return call
    }

    private func isPartial(_ count: Int) -> Bool {
        guard count > 1, let oneIn = kernel.options.shortSubmissionsOneIn else { return false }
        return chance.isOne(in: oneIn)
    }

    /// In the order of fs/aio.c; an error is one of the call.
    private func admit(_ request: DiskRequest, into context: SimulatedDiskContext) -> Errno? {
        let number = request.target.descriptor.number
        guard let file = kernel.file(number, as: DiskFile.self, for: "io_submit") else {
            return kernel.opened(number) == nil ? .badFileDescriptor : .invalidArgument
        }
        var signal: EventCounter?
        if let counter = request.completionSignal?.descriptor.number {
            signal = kernel.file(counter, as: EventCounter.self, for: "io_submit, completion signal")
            guard signal != nil else {
                return kernel.opened(counter) == nil ? .badFileDescriptor : .invalidArgument
            }
        }
        if request.isNonblocking, !kernel.disk.takesNonblocking { return .notSupported }
        guard file.allows(request.operation) else { return .badFileDescriptor }
        if request.offset.addingReportingOverflow(Int64(request.byteCount)).overflow {
            return .invalidArgument
        }

        let due = time.now.advanced(by: chance.duration(in: kernel.disk.latency))
        let transfer = DiskTransfer(
            request: request, file: file, signal: signal, byteCountMax: byteCountMax(of: request, in: file),
            due: due)
        if let answer = answer(of: file, to: transfer) {
            complete(transfer, answer, in: context)
        } else if file.isDirect {
            context.inFlight.append(transfer)
        } else {
            complete(transfer, carryOut(transfer), in: context)
        }
        return nil
    }

    private func byteCountMax(of request: DiskRequest, in file: DiskFile) -> Int {
        switch request.operation {
        case .read: min(request.byteCount, file.stored.readableByteCount(at: request.offset))
        case .write: request.byteCount
        }
    }

    /// What ext4 says before it asks the device, and in this order; nil if it asks.
    private func answer(of file: DiskFile, to transfer: DiskTransfer) -> CallResult? {
        let request = transfer.request
        if transfer.byteCountMax == 0 { return CallResult(rawValue: 0) }
        if request.isNonblocking {
            switch (request.operation, file.isDirect) {
            case (.write, true):
                // It would have to allocate.
                guard file.stored.isAllocated(request.byteCount, at: request.offset) else {
                    return CallResult(.resourceTemporarilyUnavailable)
                }
            case (.write, false): return CallResult(.notSupported)
            // What of the file is in the page cache is up to the kernel.
            case (.read, false): if chance.isOne(in: 2) { return CallResult(.resourceTemporarilyUnavailable) }
            case (.read, true): break
            }
        }
        let place = request.offset | Int64(request.byteCount)
        let isMisaligned = file.isDirect && place & Int64(kernel.disk.alignment - 1) != 0
        return isMisaligned ? CallResult(.invalidArgument) : nil
    }
}

extension SimulatedCall {
    /// A call about this request, of the file with that path.
    init(_ name: Name, about request: DiskRequest, path: String?) {
        self.init(name, byteCount: request.byteCount, path: path)
        offset = request.offset
        direction = request.operation == .read ? .read : .write
        isNonblocking = request.isNonblocking
    }
}

// A completion that no worker made: a value posted by the program, a signal. Straight from any thread to the
// sink.

/// A node that carries a value.
package final class ValueNode<Value: Sendable>: ListNode, @unchecked Sendable {
    package let value: Value
    package init(_ value: Value) { self.value = value }
}

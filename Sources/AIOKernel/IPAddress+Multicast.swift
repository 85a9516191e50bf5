// Which addresses are groups. Asked before a group is joined.

extension IPAddress {
    /// Whether this is a multicast group: `224.0.0.0/4` (RFC 5771) or `ff00::/8` (RFC 4291).
    public var isMulticast: Bool {
        switch unmapped.family {
        case .v4: unmapped.low >> 28 == 0xe
        case .v6: high >> 56 == 0xff
        }
    }
}

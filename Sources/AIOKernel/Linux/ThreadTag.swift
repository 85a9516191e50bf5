// By what a thread of ours knows which it is: a thread-local number, set by whoever gives the thread its work.

internal import CAIOLinux

package enum ThreadTag {
    /// Of the calling thread; 0 until it is set.
    package static var current: UInt64 {
        get { caio_thread_tag() }
        set { caio_set_thread_tag(newValue) }
    }
}

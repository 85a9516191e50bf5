// The text form of endpoints: what is read, what is refused and with which words, and that nothing traps.

import AIOKernel
import Testing

@Suite struct EndpointTests {
    @Test(arguments: [
        ("127.0.0.1:80", Endpoint.ip(.loopbackV4, port: 80)),
        ("0.0.0.0:0", .ip(.unspecifiedV4, port: 0)),
        ("255.255.255.255:65535", .ip(.v4(255, 255, 255, 255), port: 65535)),
        ("[::1]:80", .ip(.loopbackV6, port: 80)),
        ("[::]:1", .ip(.unspecifiedV6, port: 1)),
        ("[fe80::1%7]:80", try .ip(IPAddress(parsing: "fe80::1%7"), port: 80)),
        ("*:80", .any(port: 80)),
        ("localhost:80", .host("localhost", port: 80)),
        ("example.org:25", .host("example.org", port: 25)),
        ("example.org.:25", .host("example.org.", port: 25)),
        ("xn--bcher-kva.example:443", .host("xn--bcher-kva.example", port: 443)),
        ("_service.a-b.c1:9", .host("_service.a-b.c1", port: 9)),
        ("1.2.3.4.example:9", .host("1.2.3.4.example", port: 9)),
        ("unix:/run/x.sock", .unix("/run/x.sock")),
        ("unix:relative/with space:and colon", .unix("relative/with space:and colon")),
        ("unix:@name", .abstract("name")),
        ("unix:@/a/b", .abstract("/a/b")),
    ])
    func `text reads as the endpoint it means and prints as the same text`(text: String, meant: Endpoint)
        throws
    {
        let endpoint = try Endpoint(parsing: text)
        #expect(endpoint == meant)
        #expect(endpoint.description == text)
        #expect(endpoint.hashValue == meant.hashValue)
    }

    @Test(arguments: [
        ("[0:0:0:0:0:0:0:1]:080", "[::1]:80"),
        ("[2001:DB8::1]:1", "[2001:db8::1]:1"),
        ("[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1"),
    ])
    func `other ways to write an address print in the usual form`(text: String, usual: String) throws {
        #expect(try Endpoint(parsing: text).description == usual)
    }

    @Test(arguments: [
        ("", "is empty"),
        ("127.0.0.1", "has no port"),
        ("localhost", "has no port"),
        ("127.0.0.1:", "nothing after its last colon"),
        (":80", "has no host"),
        ("127.0.0.1:65536", "port out of range"),
        ("127.0.0.1:99999999999999999999", "port out of range"),
        ("127.0.0.1:-1", "port that is not a number"),
        ("127.0.0.1:+1", "port that is not a number"),
        ("127.0.0.1:http", "port that is not a number"),
        ("127.0.0.1:٣", "port that is not a number"),
        ("::1", "needs brackets"),
        ("::1:80", "needs brackets"),
        ("fe80::1%eth0:80", "needs brackets"),
        ("http://example.org:80", "needs brackets"),
        ("[::1]", "has no port"),
        ("[::1]80", "without a colon"),
        ("[::1:80", "no closing bracket"),
        ("[]:80", "nothing between its brackets"),
        ("[127.0.0.1]:80", "IPv4 address in brackets"),
        ("[localhost]:80", "not an IPv4 or IPv6 address"),
        ("[::1%1%2]:80", "no interface named"),
        ("[::1%]:80", "no interface named \"\""),
        ("[fe80::1%no-such-if]:80", "no interface named \"no-such-if\""),
        ("[127.0.0.1%1]:80", "not an IPv6 address with a scope"),
        ("256.0.0.1:80", "neither a name nor an IPv4 address"),
        ("1.2.3:80", "neither a name nor an IPv4 address"),
        ("010.0.0.1:80", "neither a name nor an IPv4 address"),
        ("2130706433:80", "neither a name nor an IPv4 address"),
        (" 127.0.0.1:80", "white space"),
        ("127.0.0.1:80\n", "white space"),
        ("local host:80", "white space"),
        ("a\u{0}b:80", "NUL"),
        ("unix:/a\u{0}b", "NUL"),
        ("exa!mple.org:80", "has \"!\" in its host name"),
        ("user@example.org:80", "has \"@\" in its host name"),
        ("bücher.example:80", "not ASCII"),
        ("-a.example:80", "hyphen"),
        ("a-.example:80", "hyphen"),
        ("a..example:80", "empty label"),
        (".example:80", "empty label"),
        (".:80", "empty host name"),
        (String(repeating: "a", count: 64) + ".example:80", "label of 64 bytes"),
        (String(repeating: "a.", count: 127) + "a:80", "host name of 255 bytes"),
        ("/run/x.sock", "looks like a path; expected unix:/run/x.sock"),
        ("unix:", "has no path"),
        ("unix:@", "empty abstract name"),
        ("unix:/" + String(repeating: "a", count: 107), "108 bytes of path, 107 are the most"),
        ("unix:@" + String(repeating: "a", count: 108), "108 bytes of abstract name, 107 are the most"),
    ])
    func `malformed text is refused with words that quote it`(text: String, words: String) throws {
        let error = try #require(throws: AIOError.self) { try Endpoint(parsing: text) }
        #expect(error.code == .malformedEndpoint)
        #expect(error.call == nil)
        let detail = try #require(error.detail)
        #expect(detail.contains(words), "\(detail)")
        let quoted = String(reflecting: text)
        #expect(detail.hasPrefix(quoted) || text.utf8.count > 200, "\(detail)")
    }

    @Test func `the longest Unix names are accepted`() throws {
        let path = "/" + String(repeating: "a", count: 106)
        #expect(try Endpoint(parsing: "unix:\(path)").path == path)
        let name = String(repeating: "é", count: 53) + "a"
        #expect(try Endpoint(parsing: "unix:@\(name)").abstractName == name)
    }

    @Test func `accessors answer for their own kind only`() {
        let endpoints: [Endpoint] = [
            .ip(.loopbackV4, port: 1), .host("a", port: 2), .any(port: 3), .unix("/p"), .abstract("n"),
        ]
        #expect(endpoints.map(\.port) == [1, 2, 3, nil, nil])
        #expect(endpoints.map(\.address) == [.loopbackV4, nil, nil, nil, nil])
        #expect(endpoints.map(\.host) == [nil, "a", nil, nil, nil])
        #expect(endpoints.map(\.path) == [nil, nil, nil, "/p", nil])
        #expect(endpoints.map(\.abstractName) == [nil, nil, nil, nil, "n"])
        #expect(endpoints.map(\.isUnix) == [false, false, false, true, true])
    }

    @Test func `factories give what reading their text gives`() throws {
        #expect(Endpoint.host("127.0.0.1", port: 1) == .ip(.loopbackV4, port: 1))
        #expect(Endpoint.host("::1", port: 1) == .ip(.loopbackV6, port: 1))
        let odd = Endpoint.unix("@file")
        #expect(try Endpoint(parsing: odd.description) == odd)
        #expect(odd.path == "./@file")
    }

    @Test func `an endpoint is compact`() {
        #expect(MemoryLayout<Endpoint>.stride <= 32)
    }

    @Test func `random text never traps, and what is read prints as text that reads back`() throws {
        let alphabet = Array("0123456789abcf.:[]%*@/-_ unix\u{0}é\u{301}\n🇩🇪")
        for seed in UInt64(0)..<20_000 {
            var generator = SeededGenerator(state: seed)
            let prefix =
                ["", "", "[", "unix:", "127.0.0.", "[fe80::1%"].randomElement(using: &generator) ?? ""
            let length = Int.random(in: 0...24, using: &generator)
            let text =
                prefix + String((0..<length).compactMap { _ in alphabet.randomElement(using: &generator) })
            guard let endpoint = try? Endpoint(parsing: text) else { continue }
            #expect(try Endpoint(parsing: endpoint.description) == endpoint, "seed \(seed): \(text)")
        }
    }
}

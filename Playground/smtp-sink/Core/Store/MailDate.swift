// Dates as mail writes them.

/// `Fri, 13 Feb 2009 23:31:30 +0000` (RFC 5322, section 3.3), in UTC.
enum MailDate {
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Of the years 1970 to 9999; times before are taken for the beginning of 1970.
    static func text(secondsSince1970: Int) -> String {
        let seconds = max(0, secondsSince1970)
        let days = seconds / 86_400
        let (year, month, day) = date(daysSince1970: days)
        let clock = [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60].map(twoDigits)
        return "\(weekdays[days % 7]), \(day) \(months[month]) \(year) \(clock.joined(separator: ":")) +0000"
    }

    private static func date(daysSince1970: Int) -> (year: Int, month: Int, day: Int) {
        var left = daysSince1970
        var year = 1970
        while left >= daysOfYear(year) {
            left -= daysOfYear(year)
            year += 1
        }
        let february = daysOfYear(year) - 337
        var month = 0
        for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if left < days { break }
            left -= days
            month += 1
        }
        return (year, month, left + 1)
    }

    private static func daysOfYear(_ year: Int) -> Int {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 366 : 365
    }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

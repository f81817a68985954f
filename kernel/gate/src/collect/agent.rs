//! What browsers and clients call themselves, cut to family and major version.
//!
//! A `User-Agent` tells one person from the next: the build, the device, the extensions. The family and its major version
//! are what finding a fault needs.

/// Longest name of a family that is made of what a client calls itself, characters.
const NAME_MAX: usize = 40;

/// What stands before the version, and whose it is. More telling marks come first: nearly all of them call themselves
/// Chrome and Safari, too.
const MARKS: [(&str, &str); 24] = [
    ("Googlebot/", "Googlebot"),
    ("bingbot/", "bingbot"),
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("Opera/", "Opera"),
    ("SamsungBrowser/", "SamsungBrowser"),
    ("YaBrowser/", "YaBrowser"),
    ("Vivaldi/", "Vivaldi"),
    ("UCBrowser/", "UCBrowser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Electron/", "Electron"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "HeadlessChrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("MSIE ", "IE"),
    ("rv:", "IE"),
    ("Version/", "Safari"),
    ("AppleWebKit/", "WebKit"),
];

/// The family and major version of a user agent. Of what it gives it gives the same again.
pub(crate) fn family(agent: &str) -> String {
    for (mark, family) in MARKS {
        let Some((before, behind)) = agent.split_once(mark) else { continue };
        // `rv:` is Internet Explorer's only behind Trident; Firefox has it, too.
        if mark == "rv:" && !before.contains("Trident/") {
            continue;
        }
        return with_version(family, behind);
    }
    // `curl/8.5.0`, `okhttp/4.12`, `Firefox 126`.
    let mut words = agent.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    let (name, version) = first.split_once('/').unwrap_or((first, words.next().unwrap_or_default()));
    let name: String =
        name.chars().filter(|c| c.is_alphanumeric() || "-_.".contains(*c)).take(NAME_MAX).collect();
    with_version(&name, version)
}

/// The major part of a version, `126` of `126.0.1`; none of what begins with no digit.
pub(crate) fn major(version: &str) -> Option<&str> {
    let digits = version.bytes().take_while(u8::is_ascii_digit).count();
    // Longer ones are no versions.
    version.get(..digits).filter(|major| (1..=6).contains(&major.len()))
}

fn with_version(name: &str, version: &str) -> String {
    match major(version) {
        Some(major) => format!("{name} {major}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_and_major_version_stay() {
        let kit = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)";
        for (agent, expected) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0".to_owned(), "Firefox 126"),
            (format!("{kit} Chrome/125.0.6422.112 Safari/537.36"), "Chrome 125"),
            (format!("{kit} Chrome/125.0.0.0 Safari/537.36 Edg/125.0.2535.67"), "Edge 125"),
            (format!("{kit} Chrome/125.0.0.0 Safari/537.36 OPR/111.0.0.0"), "Opera 111"),
            (format!("{kit} SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36"), "SamsungBrowser 23"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/17.5 Mobile/15E148 Safari/604.1"
                    .to_owned(),
                "Safari 17",
            ),
            ("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko".to_owned(), "IE 11"),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)".to_owned(), "Googlebot 2"),
            ("curl/8.5.0".to_owned(), "curl 8"),
            ("okhttp/4.12.0".to_owned(), "okhttp 4"),
            ("Alice's phone".to_owned(), "Alices"),
            ("x/1234567890123".to_owned(), "x"),
            (String::new(), ""),
        ] {
            let family = super::family(&agent);
            assert_eq!(family, expected, "{agent}");
            assert_eq!(super::family(&family), expected, "again");
        }
        assert_eq!(major("126.0.1"), Some("126"));
        assert_eq!((major("v1"), major("")), (None, None));
    }
}

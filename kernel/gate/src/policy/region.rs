//! Regions by which a policy asks for consent: countries, and what unites them.

/// The European Economic Area: the European Union, Iceland, Liechtenstein and Norway.
const EEA: [&str; 30] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT",
    "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// Those of the European Economic Area that are not of the Union.
const NOT_OF_THE_UNION: [&str; 3] = ["IS", "LI", "NO"];

/// The country of a code, in capitals; none for what is not two letters.
pub(crate) fn country(code: &str) -> Option<String> {
    let code = code.trim();
    let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code.then(|| code.to_ascii_uppercase())
}

/// True where a country lies in a region of that name: a country's own code, `EEA`, `EU` or `UK`.
pub(crate) fn lies_in(country: &str, region: &str) -> bool {
    match region {
        "EEA" => EEA.contains(&country),
        "EU" => EEA.contains(&country) && !NOT_OF_THE_UNION.contains(&country),
        "UK" => country == "GB",
        other => other.eq_ignore_ascii_case(country),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_lie_in_their_regions() {
        for (country, region, expected) in [
            ("DE", "EEA", true),
            ("DE", "EU", true),
            ("NO", "EEA", true),
            ("NO", "EU", false),
            ("GB", "UK", true),
            ("GB", "EEA", false),
            ("CH", "CH", true),
            ("CH", "EEA", false),
            ("US", "US", true),
        ] {
            assert_eq!(lies_in(country, region), expected, "{country} in {region}");
        }
        assert_eq!(country(" de "), Some("DE".to_owned()));
        assert_eq!((country("DEU"), country("1A"), country("")), (None, None, None));
    }
}

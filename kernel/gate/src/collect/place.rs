//! Where a person is, made as coarse as a policy says.

use candor_model::Value;

use crate::policy::LocationRule;

/// How fine a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A country or what is larger.
    Country,
    /// A city or region.
    City,
    /// A latitude or longitude.
    Coordinate,
    /// Finer than a city, or in words that nobody knows.
    Finer,
}

/// What objects of places are called.
const PLACES: [&str; 4] = ["geo", "geoip", "geolocation", "geonetwork"];

/// What objects of coordinates are called beside those.
const POSITIONS: [&str; 6] = ["location", "position", "coords", "coordinates", "gps", "loc"];

/// How fine the place is that a name tells of, by its last parts without case and marks (the last one first); none
/// where it tells of no place.
pub(crate) fn classify(last: &str, before: &str, earlier: &str) -> Option<Place> {
    let is_coordinate = matches!(last, "latitude" | "longitude" | "lat" | "lon" | "lng" | "long");
    if !PLACES.contains(&before) && !PLACES.contains(&earlier) {
        let is_position = matches!(last, "latitude" | "longitude")
            || is_coordinate && (before.is_empty() || POSITIONS.contains(&before)) && last != "long";
        return is_position.then_some(Place::Coordinate);
    }
    Some(match (before, last) {
        _ if is_coordinate => Place::Coordinate,
        ("country" | "continent", _) => Place::Country,
        (_, "country" | "countrycode" | "countryname" | "countryisocode" | "continent" | "continentcode") => {
            Place::Country
        }
        ("region" | "locality" | "city", "name" | "isocode" | "code") => Place::City,
        (_, "city" | "cityname" | "region" | "regionname" | "regioncode" | "subdivision" | "state") => {
            Place::City
        }
        _ => Place::Finer,
    })
}

/// Makes a place coarse; false where it leaves.
pub(crate) fn coarsen(rule: LocationRule, place: Place, value: &mut Value) -> bool {
    match (rule, place) {
        (LocationRule::Keep, _) => true,
        (LocationRule::Drop, _) => false,
        (LocationRule::Country, place) => place == Place::Country,
        (LocationRule::OneDecimal, Place::Country | Place::City) => true,
        (LocationRule::OneDecimal, Place::Coordinate) => round(value),
        (LocationRule::OneDecimal, Place::Finer) => false,
    }
}

/// A coordinate to one decimal; false where it is no number.
fn round(value: &mut Value) -> bool {
    let coarse = |degrees: f64| (degrees * 10.0).round() / 10.0;
    match value {
        Value::Int(_) | Value::UInt(_) => true,
        Value::Float(degrees) => {
            *degrees = coarse(*degrees);
            true
        }
        Value::Str(text) => match text.trim().parse::<f64>() {
            Ok(degrees) if degrees.is_finite() => {
                *text = format!("{:.1}", coarse(degrees));
                true
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_places_are_known() {
        for (name, expected) in [
            ("user.geo.city", Some(Place::City)),
            ("user.geo.countrycode", Some(Place::Country)),
            ("geo.country.isocode", Some(Place::Country)),
            ("geo.locality.name", Some(Place::City)),
            ("geo.location.lat", Some(Place::Coordinate)),
            ("geo.postalcode", Some(Place::Finer)),
            ("geo.timezone", Some(Place::Finer)),
            ("device.latitude", Some(Place::Coordinate)),
            ("coords.lng", Some(Place::Coordinate)),
            ("lat", Some(Place::Coordinate)),
            ("x.lat", None),
            ("long", None),
            ("address.city", None),
            ("http.route", None),
        ] {
            let mut parts = name.rsplit('.');
            let mut next = || parts.next().unwrap_or_default();
            assert_eq!(classify(next(), next(), next()), expected, "{name}");
        }
    }

    #[test]
    fn coordinates_are_rounded_once() {
        for (value, expected) in [
            (Value::Float(52.5163), Some(Value::Float(52.5))),
            (Value::Float(-0.04), Some(Value::Float(-0.0))),
            (Value::from("13.3777"), Some(Value::from("13.4"))),
            (Value::Int(52), Some(Value::Int(52))),
            (Value::from("here"), None),
            (Value::Array(vec![]), None),
        ] {
            for mut value in [Some(value), expected.clone()].into_iter().flatten() {
                let stays = coarsen(LocationRule::OneDecimal, Place::Coordinate, &mut value);
                assert_eq!(stays.then_some(value), expected);
            }
        }
    }
}

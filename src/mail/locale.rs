//! The languages of mails and pages.

use std::convert::Infallible;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const ENGLISH_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const GERMAN_MONTHS: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];

/// A language. Its name is its BCP 47 primary subtag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Locale {
    /// English, the default.
    #[default]
    En,
    De,
}

impl Locale {
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// The BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// The name of a month.
    pub fn month(self, month: time::Month) -> &'static str {
        let names = match self {
            Self::En => &ENGLISH_MONTHS,
            Self::De => &GERMAN_MONTHS,
        };
        names[usize::from(u8::from(month) - 1)]
    }
}

impl FromStr for Locale {
    type Err = Infallible;

    /// The best match of an `Accept-Language` (RFC 9110 §12.5.4): the highest weight, then the
    /// first position. Unknown or malformed parts are skipped. English if no part matches.
    fn from_str(accept_language: &str) -> Result<Self, Infallible> {
        let mut best = (Self::En, 0.0);
        for range in accept_language.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let weight = match parts.find_map(|part| part.strip_prefix("q=")) {
                None => 1.0,
                Some(q) => q.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0_f32),
            };
            let primary = tag.split('-').next().unwrap_or_default();
            let known = Self::ALL.into_iter().find(|it| it.tag().eq_ignore_ascii_case(primary));
            if let Some(locale) = known
                && weight > best.1
            {
                best = (locale, weight);
            }
        }
        Ok(best.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_known_language_wins() {
        let of = |header: &str| header.parse::<Locale>().unwrap();
        assert_eq!(of(""), Locale::En);
        assert_eq!(of("de"), Locale::De);
        assert_eq!(of("de-AT,de;q=0.9,en;q=0.8"), Locale::De);
        assert_eq!(of("fr-CH, fr;q=0.9, en;q=0.5, DE;q=0.7, *;q=0.3"), Locale::De);
        assert_eq!(of("en-GB;q=0.9, de;q=0.9"), Locale::En);
        assert_eq!(of("de;q=0, en;q=0.1"), Locale::En);
        assert_eq!(of("de;q=nonsense, ;;,,"), Locale::En);
    }
}

//! Typed attributes. Each attribute has a Rust type for its values. Code with a value that is not
//! on the list does not compile.
//!
//! A [`Label`] is one attribute with its closed list of values. A [`Series`] is the labels of one
//! series. [`Count`], [`Timing`] and [`Level`] are instruments of such a series.

use std::marker::PhantomData;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};

use super::attributes::{Attribute, Values};
use crate::problem::Code;

/// The value of one attribute.
pub trait Label: Copy {
    /// The attribute with all its possible values.
    const ATTRIBUTE: Attribute;

    fn word(self) -> &'static str;

    fn key_value(self) -> KeyValue {
        KeyValue::new(Self::ATTRIBUTE.key, self.word())
    }
}

/// The attributes of one series.
pub trait Series: Copy {
    /// The sets of attributes that a series can have.
    const SHAPES: &'static [&'static [Attribute]];

    fn attributes(self) -> impl AsRef<[KeyValue]>;
}

impl<A: Label> Series for A {
    const SHAPES: &'static [&'static [Attribute]] = &[&[A::ATTRIBUTE]];

    fn attributes(self) -> impl AsRef<[KeyValue]> {
        [self.key_value()]
    }
}

impl<A: Label, B: Label> Series for (A, B) {
    const SHAPES: &'static [&'static [Attribute]] = &[&[A::ATTRIBUTE, B::ATTRIBUTE]];

    fn attributes(self) -> impl AsRef<[KeyValue]> {
        [self.0.key_value(), self.1.key_value()]
    }
}

impl Series for () {
    const SHAPES: &'static [&'static [Attribute]] = &[&[]];

    fn attributes(self) -> impl AsRef<[KeyValue]> {
        []
    }
}

/// A counter of the series `S`.
#[derive(Debug)]
pub struct Count<S>(pub(super) Counter<u64>, pub(super) PhantomData<fn(S)>);

impl<S: Series> Count<S> {
    /// Adds one.
    pub fn one(&self, series: S) {
        self.0.add(1, series.attributes().as_ref());
    }
}

/// A histogram of durations in seconds, of the series `S`.
#[derive(Debug)]
pub struct Timing<S>(pub(super) Histogram<f64>, pub(super) PhantomData<fn(S)>);

impl<S: Series> Timing<S> {
    pub fn record(&self, took: std::time::Duration, series: S) {
        self.0.record(took.as_secs_f64(), series.attributes().as_ref());
    }
}

/// A gauge of the series `S`.
#[derive(Debug)]
pub struct Level<S>(pub(super) Gauge<u64>, pub(super) PhantomData<fn(S)>);

impl<S: Series> Level<S> {
    pub fn set(&self, number: u64, series: S) {
        self.0.record(number, series.attributes().as_ref());
    }
}

/// The outcome of an operation: one of the words of `W`, or the code of an API error.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<W> {
    /// A word of `W`, such as success.
    Is(W),
    /// An error.
    Failed(Code),
}

impl<W> Outcome<W> {
    /// The outcome of a result: the code of its error, or `word` if there is none.
    pub fn of(word: W, error: Option<Code>) -> Self {
        error.map_or(Self::Is(word), Self::Failed)
    }
}

impl<W: Words> Label for Outcome<W> {
    const ATTRIBUTE: Attribute =
        Attribute { key: "outcome", values: Values::Outcome(W::ALL), is_optional: false };

    fn word(self) -> &'static str {
        match self {
            Self::Is(word) => word.word(),
            Self::Failed(code) => code.name(),
        }
    }
}

/// An enum of words that `words!` declares.
pub trait Words: Label + 'static {
    const ALL: &'static [&'static str];
}

/// Declares the closed list of an attribute's values.
macro_rules! words {
    ($($(#[doc = $about:literal])+ $name:ident = $key:literal { $($variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`")] $variant,)+
        }

        impl $name {
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::telemetry::typed::Words for $name {
            const ALL: &'static [&'static str] = &[$($word),+];
        }

        impl $crate::telemetry::typed::Label for $name {
            const ATTRIBUTE: $crate::telemetry::attributes::Attribute =
                $crate::telemetry::attributes::Attribute {
                    key: $key,
                    values: $crate::telemetry::attributes::Values::Of(
                        <Self as $crate::telemetry::typed::Words>::ALL,
                    ),
                    is_optional: false,
                };

            fn word(self) -> &'static str {
                self.name()
            }
        }
    )+};
}
pub(super) use words;

/// Declares an attribute whose values another module lists ([`super::attributes::Declared`]). Only
/// that module calls `declared`.
macro_rules! declared_words {
    ($($(#[doc = $about:literal])+ $name:ident = $key:literal, $list:ident, $description:literal;)+) => {$(
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(&'static str);

        impl $name {
            /// Creates a value from a word of the list.
            pub const fn declared(word: &'static str) -> Self {
                Self(word)
            }
        }

        impl $crate::telemetry::typed::Label for $name {
            const ATTRIBUTE: $crate::telemetry::attributes::Attribute =
                $crate::telemetry::attributes::Attribute {
                    key: $key,
                    values: $crate::telemetry::attributes::Values::Declared(
                        $crate::telemetry::attributes::Declared::$list,
                        $description,
                    ),
                    is_optional: false,
                };

            fn word(self) -> &'static str {
                self.0
            }
        }
    )+};
}
pub(super) use declared_words;

//! The macro `text_enum!`, which declares enums that a column stores as text.

/// Declares the enum of a column, with the text of each variant. If the column contains a text that
/// a later release wrote, the value is the variant after `unknown`.
macro_rules! text_enum {
    (
        $(#[doc = $doc:literal])+
        $name:ident, unknown $unknown:ident {
            $($(#[doc = $of:literal])+ $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, sea_orm::DeriveValueType)]
        #[sea_orm(value_type = "String")]
        pub enum $name {
            $($(#[doc = $of])+ $variant,)+
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The text in the column.
            pub const fn as_str(&self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self::ALL.iter().copied().find(|it| it.as_str() == text).unwrap_or(Self::$unknown))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use text_enum;

//! Types of request bodies. One declaration of a body defines both how latchkey reads the body and
//! how `/openapi.json` documents it.
//!
//! `request_body!` declares the members of a JSON body once. It generates the struct, its schema,
//! and its reader, which collects all broken rules. `request_form!` does the same for the form of
//! an OAuth endpoint.

use std::fmt;

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType};
use utoipa::openapi::{RefOr, Schema, Type};

use super::json::{Object, Rule};
use crate::problem::Problem;
use crate::secret::Secret;
use crate::team::slug::SlugError;
use crate::team::{Role, Slug};
use crate::user::{AddressError, EmailAddress, NameError, PersonName};

/// A JSON body that `request_body!` declared.
pub trait RequestBody: Sized {
    /// The JSON members of the body. A member that breaks one of its own rules is none.
    type Members;

    /// Reads a body.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`](crate::problem::Code::ValidationFailed) with all broken rules.
    fn read(body: Object) -> Result<Self, Problem> {
        Self::read_and_check(body, |_, _| {})
    }

    /// Reads a body and then applies the rules in `check`, which depend on several members or on
    /// the caller of the request.
    ///
    /// # Errors
    /// The same as [`RequestBody::read`].
    fn read_and_check(
        body: Object,
        check: impl FnOnce(&mut Object, &Self::Members),
    ) -> Result<Self, Problem>;
}

/// A type that a member of a body can have.
pub trait Member: Sized {
    /// Whether the member has to be present.
    const REQUIRED: bool;

    /// Reads the member. If the member breaks a rule, records the error and returns none.
    fn read(body: &mut Object, name: &'static str) -> Option<Self>;

    fn schema() -> RefOr<Schema>;
}

/// A member that is written as a string.
pub trait Text: Sized {
    /// The rules that the text can break.
    type Error: Rule;

    fn parse(text: String) -> Result<Self, Self::Error>;

    /// Adds the details of this type to the schema of the string, for example the allowed values.
    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        schema
    }
}

impl<T: Text> Member for T {
    const REQUIRED: bool = true;

    fn read(body: &mut Object, name: &'static str) -> Option<Self> {
        let text = body.text(name)?;
        body.check(name, T::parse(text))
    }

    fn schema() -> RefOr<Schema> {
        T::describe(ObjectBuilder::new().schema_type(Type::String)).build().into()
    }
}

impl<T: Text> Member for Option<T> {
    const REQUIRED: bool = false;

    fn read(body: &mut Object, name: &'static str) -> Option<Self> {
        if body.has(name) { T::read(body, name).map(Some) } else { Some(None) }
    }

    fn schema() -> RefOr<Schema> {
        let text = SchemaType::from_iter([Type::String, Type::Null]);
        T::describe(ObjectBuilder::new().schema_type(text)).build().into()
    }
}

impl Member for Option<bool> {
    const REQUIRED: bool = false;

    fn read(body: &mut Object, name: &'static str) -> Option<Self> {
        if body.has(name) { body.flag(name).map(Some) } else { Some(None) }
    }

    fn schema() -> RefOr<Schema> {
        let flag = SchemaType::from_iter([Type::Boolean, Type::Null]);
        ObjectBuilder::new().schema_type(flag).build().into()
    }
}

/// The schema of a list that contains at least one string. Each string must be one of `items`.
pub fn list_schema(items: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    let item = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(items)).build();
    ArrayBuilder::new().items(item).min_items(Some(1)).build().into()
}

/// The error type of a text without rules. The type has no values, because such a text is always
/// valid.
#[derive(Debug)]
pub enum AnyText {}

impl fmt::Display for AnyText {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl Rule for AnyText {
    fn code(&self) -> &'static str {
        match *self {}
    }
}

impl Text for String {
    type Error = AnyText;

    fn parse(text: String) -> Result<Self, AnyText> {
        Ok(text)
    }
}

impl Text for Secret<String> {
    type Error = AnyText;

    fn parse(text: String) -> Result<Self, AnyText> {
        Ok(Self::new(text))
    }
}

impl Text for EmailAddress {
    type Error = AddressError;

    fn parse(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl Text for PersonName {
    type Error = NameError;

    fn parse(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl Text for Slug {
    type Error = SlugError;

    fn parse(text: String) -> Result<Self, SlugError> {
        Self::parse(&text)
    }
}

/// A broken rule. It has a stable code and a sentence for the user who typed the value.
#[derive(Debug)]
pub struct BrokenRule(pub &'static str, pub &'static str);

impl fmt::Display for BrokenRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }
}

impl Rule for BrokenRule {
    fn code(&self) -> &'static str {
        self.0
    }
}

impl Text for Role {
    type Error = BrokenRule;

    fn parse(text: String) -> Result<Self, BrokenRule> {
        let unknown = BrokenRule("unknown", "`role` must be owner, admin, member or viewer.");
        Self::from_name(&text).ok_or(unknown)
    }

    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        schema.enum_values(Some(Self::ALL.map(Self::name)))
    }
}

/// Joins the lines of a doc comment as rustdoc does.
fn described(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.join("\n")
}

/// Declares a JSON body. The syntax `field as "name": Type` declares a field for the JSON member
/// `name`. See [`Member`] for the types.
macro_rules! request_body {
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    (
        $(#[doc = $about:literal])+
        pub struct $body:ident {
            $($(#[doc = $doc:literal])+ $field:ident $(as $name:literal)?: $type:ty),+ $(,)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub struct $body {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl $crate::http::body_type::RequestBody for $body {
            type Members = ($(Option<$type>,)+);

            fn read_and_check(
                mut body: $crate::http::json::Object,
                check: impl FnOnce(&mut $crate::http::json::Object, &Self::Members),
            ) -> Result<Self, $crate::problem::Problem> {
                use $crate::http::body_type::Member;
                let members: Self::Members = ($(
                    <$type as Member>::read(&mut body, request_body!(@name $field $($name)?)),
                )+);
                check(&mut body, &members);
                body.finish()?;
                match members {
                    ($(Some($field),)+) => Ok(Self { $($field),+ }),
                    _ => Err($crate::problem::Code::ValidationFailed.into()),
                }
            }
        }

        request_body!(@schema $body, [$($about),+], [$((
            request_body!(@name $field $($name)?),
            <$type as $crate::http::body_type::Member>::REQUIRED,
            <$type as $crate::http::body_type::Member>::schema(),
            [$($doc),+]
        )),+]);
    };
    (@schema $body:ident, [$($about:literal),+], [$(($name:expr, $required:expr, $schema:expr, [$($doc:literal),+])),+]) => {
        impl utoipa::PartialSchema for $body {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $crate::http::body_type::object(
                    &[$($about),+],
                    [$(($name, $required, $schema, &[$($doc),+] as &[&str])),+],
                )
            }
        }

        impl utoipa::ToSchema for $body {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($body).into()
            }
        }
    };
}
pub(crate) use request_body;

/// Declares the form of an OAuth endpoint, with one method for each parameter. A `needed` parameter
/// must be present. An `optional` parameter is allowed to be missing.
macro_rules! request_form {
    (@get needed $form:expr, $field:ident) => { $form.need(stringify!($field)) };
    (@get optional $form:expr, $field:ident) => { $form.get(stringify!($field)) };
    (@type needed) => { Result<&$crate::secret::Secret<String>, $crate::problem::Problem> };
    (@type optional) => { Option<&$crate::secret::Secret<String>> };
    (@required needed) => { true };
    (@required optional) => { false };
    (
        $(#[doc = $about:literal])+
        pub struct $body:ident {
            $($(#[doc = $doc:literal])+ $field:ident: $kind:ident),+ $(,)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub struct $body(pub $crate::http::form::Form);

        impl $body {
            $(
                $(#[doc = $doc])+
                pub fn $field(&self) -> request_form!(@type $kind) {
                    request_form!(@get $kind self.0, $field)
                }
            )+
        }

        $crate::http::body_type::request_body!(@schema $body, [$($about),+], [$((
            stringify!($field),
            request_form!(@required $kind),
            <String as $crate::http::body_type::Member>::schema(),
            [$($doc),+]
        )),+]);
    };
}
pub(crate) use request_form;

/// Builds the schema of a body. The macros call this function.
pub fn object<const N: usize>(
    about: &[&str],
    members: [(&'static str, bool, RefOr<Schema>, &[&str]); N],
) -> RefOr<Schema> {
    let mut object =
        ObjectBuilder::new().schema_type(Type::Object).description(Some(described(about)));
    for (name, required, mut schema, doc) in members {
        match &mut schema {
            RefOr::T(Schema::Object(it)) => it.description = Some(described(doc)),
            RefOr::T(Schema::Array(it)) => it.description = Some(described(doc)),
            _ => {}
        }
        object = object.property(name, schema);
        if required {
            object = object.required(name);
        }
    }
    object.build().into()
}

#[cfg(test)]
#[path = "body_type_tests.rs"]
mod tests;

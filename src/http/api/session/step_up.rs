//! `POST /api/step-up`: proves the user again in a live session (RFC 9470).

use utoipa::openapi::schema::ObjectBuilder;

use crate::account::{FactorCode, StepUp as Proof};
use crate::app::App;
use crate::factor::FactorMethod;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{BrokenRule, RequestBody, Text, request_body};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::{Principal, Tokens};

request_body! {
    /// A proof of the user.
    pub struct StepUp {
        /// The method of the proof.
        method: ProofMethod,
        /// The current password. Only the method `password` needs it.
        password: Option<Secret<String>>,
        /// The code. Only the methods `totp` and `recovery-code` need it.
        code: Option<Secret<String>>,
    }
}

/// A method by which a user proves themselves in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofMethod {
    Password,
    Code(FactorMethod),
}

impl ProofMethod {
    const ALL: [Self; 3] =
        [Self::Password, Self::Code(FactorMethod::Totp), Self::Code(FactorMethod::RecoveryCode)];

    const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Code(method) => method.name(),
        }
    }
}

impl Text for ProofMethod {
    type Error = BrokenRule;

    fn parse(text: String) -> Result<Self, BrokenRule> {
        let unknown = BrokenRule("unknown", "`method` must be password, totp or recovery-code.");
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or(unknown)
    }

    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        schema.enum_values(Some(Self::ALL.map(Self::name)))
    }
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let StepUp { method, password, code } =
        StepUp::read_and_check(request.json()?, |body, (method, password, code)| {
            // A member that breaks its own rule is none, and its error is recorded already.
            match method {
                Some(ProofMethod::Password) if matches!(password, Some(None)) => {
                    body.reject("password", "required", "`password` is required.");
                }
                Some(ProofMethod::Code(_)) if matches!(code, Some(None)) => {
                    body.reject("code", "required", "`code` is required.");
                }
                _ => {}
            }
        })?;
    let proof = match (method, password, code) {
        (ProofMethod::Password, Some(password), _) => Proof::Password(password),
        (ProofMethod::Code(method), _, Some(code)) => Proof::Code(FactorCode { method, code }),
        _ => return Err(Code::ValidationFailed.into()),
    };
    let tokens = app.account().step_up(&mut request.as_client(), caller, proof).await?;
    Ok(answer::json(&tokens))
}

pub fn operation() -> Operation {
    Operation::new("stepUp", Tag::Session, "Prove yourself again")
        .describes(
            "Some actions need a fresh proof and otherwise get `step-up-required`. A proof by \
             password has the level `aal1`. A code in a session that proved the password has the \
             level `aal2`. A proof below the level of the session changes nothing. A wrong proof \
             does not end the session.",
        )
        .bearer()
        .takes::<StepUp>()
        .gives::<Tokens>("Tokens of this session, with fresh `acr`, `amr` and `auth_time`.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::InvalidToken,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}

//! `/undo-factor`: the page behind the undo link in the mail about the first second factor. It is
//! in the language of the browser.

use askama::Template;
use time::macros::format_description;

use super::trouble::failed;
use super::{html, words};
use crate::account::FactorUndone;
use crate::app::App;
use crate::clock::UnixMillis;
use crate::http::answer::{self, Answer};
use crate::http::request::Request;
use crate::mail::Locale;
use crate::problem::Problem;

/// The states of `/undo-factor`. The form posts `token`.
#[derive(Clone, Copy, Debug)]
pub enum UndoFactor<'a> {
    /// The link is valid. The page asks the user to remove the factor.
    Ready { token: &'a str, added_at: UnixMillis },
    /// The factors are removed, and the account has no password.
    Undone,
    /// The link is unknown, used or expired.
    Invalid,
}

impl UndoFactor<'_> {
    pub const fn status(&self) -> u16 {
        match self {
            Self::Invalid => 400,
            _ => 200,
        }
    }
}

#[derive(Template)]
#[template(path = "undo_factor.html")]
struct UndoFactorTemplate<'a> {
    lang: &'static str,
    title: &'a str,
    lines: &'a [&'a str],
    /// The text of the button and the token that it posts.
    form: Option<(&'a str, &'a str)>,
    /// The text of the link to the next step, and its address.
    action: Option<(&'a str, &'a str)>,
}

/// `GET /undo-factor?token=…`
pub async fn show(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let token = request.query("token")?.unwrap_or_default();
    let found = app.account().preview_factor_undo(&token).await.map_err(Problem::from);
    let state = found.map(|found| match found {
        Some(added_at) => UndoFactor::Ready { token: &token, added_at },
        None => UndoFactor::Invalid,
    });
    rendered(request, state, &token)
}

/// `POST /undo-factor`
pub async fn submit(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let form = request.form()?;
    let token = form.into_iter().find(|(key, _)| key == "token").map(|(_, token)| token);
    let token = token.unwrap_or_default();
    let undone = app.account().undo_first_factor(&mut request.as_client(), &token).await;
    let state = undone.map_err(Problem::from).map(|undone| match undone {
        FactorUndone::Now => UndoFactor::Undone,
        FactorUndone::Gone => UndoFactor::Invalid,
    });
    rendered(request, state, &token)
}

fn rendered(
    request: &Request,
    state: Result<UndoFactor<'_>, Problem>,
    token: &str,
) -> Result<Answer, Problem> {
    let locale = request.accept_language().parse().unwrap_or_default();
    match state {
        Ok(state) => answer::view(state.status(), undo_factor(&state, locale), None),
        Err(problem) => failed(&problem, "/undo-factor", token),
    }
}

pub fn undo_factor(state: &UndoFactor<'_>, locale: Locale) -> String {
    match locale {
        Locale::En => english(state),
        Locale::De => german(state),
    }
}

fn english(state: &UndoFactor<'_>) -> String {
    let happened;
    let (title, lines, form, action): (_, &[&str], _, _) = match *state {
        UndoFactor::Ready { token, added_at } => {
            let at = words::moment(added_at);
            happened = format!(
                "A second factor was added to your account on {at}. If you did not add it, remove \
                 it: the person who added it knows your password."
            );
            (
                "Remove the second factor",
                &[
                    &happened,
                    "All factors and recovery codes of your account are then removed, you are \
                     logged out on all devices, and you have to choose a new password.",
                    "If you added the factor yourself, close this page. Nothing changes.",
                ],
                Some(("Remove the factor", token)),
                None,
            )
        }
        UndoFactor::Undone => (
            "The second factor is removed",
            &[
                "Your account has no second factor any more. All devices are logged out, and the \
                 old password does not work any more.",
                "Did you also get a mail about a new email address of your account? Then open the \
                 link in that mail first.",
                "Choose a new password now.",
            ],
            None,
            Some(("Get a new password", "/reset-password")),
        ),
        UndoFactor::Invalid => (
            "This link does not work any more",
            &[
                "The link was used, or it has expired.",
                "If you cannot log in to your account, write to the operator of the service where \
                 you registered.",
            ],
            None,
            None,
        ),
    };
    html(&UndoFactorTemplate { lang: Locale::En.tag(), title, lines, form, action })
}

fn german(state: &UndoFactor<'_>) -> String {
    let happened;
    let (title, lines, form, action): (_, &[&str], _, _) = match *state {
        UndoFactor::Ready { token, added_at } => {
            let at = german_moment(added_at);
            happened = format!(
                "Zu Ihrem Konto wurde am {at} ein zweiter Faktor hinzugefügt. Wenn Sie das nicht \
                 waren, entfernen Sie ihn: Wer ihn hinzugefügt hat, kennt Ihr Passwort."
            );
            (
                "Den zweiten Faktor entfernen",
                &[
                    &happened,
                    "Dann werden alle Faktoren und Wiederherstellungscodes Ihres Kontos entfernt, \
                     Sie werden auf allen Geräten abgemeldet, und Sie müssen ein neues Passwort \
                     wählen.",
                    "Wenn Sie den Faktor selbst hinzugefügt haben, schließen Sie diese Seite. Dann \
                     ändert sich nichts.",
                ],
                Some(("Den Faktor entfernen", token)),
                None,
            )
        }
        UndoFactor::Undone => (
            "Der zweite Faktor ist entfernt",
            &[
                "Ihr Konto hat keinen zweiten Faktor mehr. Alle Geräte sind abgemeldet, und das \
                 alte Passwort gilt nicht mehr.",
                "Haben Sie auch eine Mail über eine neue E-Mail-Adresse Ihres Kontos bekommen? Dann \
                 öffnen Sie zuerst den Link in jener Mail.",
                "Wählen Sie jetzt ein neues Passwort.",
            ],
            None,
            Some(("Ein neues Passwort wählen", "/reset-password")),
        ),
        UndoFactor::Invalid => (
            "Dieser Link funktioniert nicht mehr",
            &[
                "Der Link wurde schon benutzt, oder er ist abgelaufen.",
                "Wenn Sie sich nicht anmelden können, schreiben Sie dem Betreiber des Dienstes, \
                 bei dem Sie sich registriert haben.",
            ],
            None,
            None,
        ),
    };
    html(&UndoFactorTemplate { lang: Locale::De.tag(), title, lines, form, action })
}

/// A point in time, for example `23.11.2026 um 21:25 Uhr (UTC)`. The text is empty if the calendar
/// of the library does not contain this time.
fn german_moment(at: UnixMillis) -> String {
    let format = format_description!(
        "[day padding:none].[month padding:none].[year] um [hour]:[minute] Uhr (UTC)"
    );
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&format).ok())
        .unwrap_or_default()
}

//! What an error of SMTP means: whether it concerns one mail or all mails, and what a log may say.

use lettre::transport::smtp::Error;

use crate::authorities::is_untrusted;
use crate::mail::transport::Failure;

/// What an error after MAIL FROM means: whether it concerns one mail or all mails.
pub(super) fn refusal(error: &Error) -> Failure {
    let told = told(error);
    match error.status().map(u16::from) {
        Some(code) if concerns_the_session(code, &prose(error)) => Failure::Broken(told),
        // The operator can correct the login within a day. The queue does not pause, because
        // clients choose the domains of recipients, and a relay perhaps serves only some domains.
        Some(_) if is_relay_denied(&prose(error)) => Failure::Transient(told),
        Some(_) if error.is_permanent() => Failure::Permanent(told),
        Some(_) => Failure::Transient(told),
        None if error.is_client() => Failure::Transient(told),
        None => Failure::Broken(told),
    }
}

/// What a refusal of Postfix is about, if it is not about the recipient. Postfix writes ` rejected`
/// after these words, and an address in brackets if a list of addresses (DNSBL) is the reason.
const SESSION_CLASSES: [&str; 5] =
    ["Client host", "Client certificate", "SASL login name", "Helo command", "Sender address"];

/// Whether a refusal of a recipient is about our name in EHLO, our network, our login or our
/// sender. Postfix delays these refusals up to RCPT TO (`smtpd_delay_reject`). It uses general
/// codes for them, so its text decides.
fn concerns_the_session(code: u16, prose: &str) -> bool {
    let own = without_quotation(prose);
    // 421: the server ends the session. 503, 504, 555: it does not accept the dialogue. 530, 534,
    // 535, 538 (RFC 4954 §6): it requires a login, or a stronger one.
    matches!(code, 421 | 503 | 504 | 530 | 534 | 535 | 538 | 555)
        || SESSION_CLASSES.iter().any(|class| {
            own.contains(&format!("{class} rejected")) || own.contains(&format!("; {class} ["))
        })
}

/// Whether this reply says that the server relays no mails to the recipient's domain for this
/// client, usually because the client did not log in. Postfix, Sendmail, Exim and Exchange use
/// these words.
pub(super) fn is_relay_denied(reply: &str) -> bool {
    let phrases =
        ["Relay access denied", "Relaying denied", "relay not permitted", "Unable to relay"];
    phrases.iter().any(|phrase| without_quotation(reply).contains(phrase))
}

/// A reply without what it quotes. A server that asks another server about the recipient quotes its
/// reply after " said: ". That part is about the recipient.
fn without_quotation(reply: &str) -> &str {
    reply.split(" said: ").next().unwrap_or_default()
}

/// The text of an error. It may contain an address, so no log and no row has it.
fn prose(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

/// An error as its codes: the reply code, and the enhanced code (RFC 3463) if there is one. The
/// text of a server is left out, because it may repeat the address.
pub(super) fn told(error: &Error) -> String {
    let prose = prose(error);
    let Some(code) = error.status() else {
        let kind = match error {
            it if is_untrusted(it) => "the server's certificate cannot be verified",
            it if it.is_tls() => "tls",
            it if it.is_timeout() => "timeout",
            it if it.is_response() => "unreadable reply",
            // These texts are lettre's own.
            it if it.is_client() && prose.contains("STARTTLS") => {
                "STARTTLS is not offered by the server"
            }
            it if it.is_client() && prose.contains("authentication mechanism") => {
                "AUTH PLAIN and AUTH LOGIN are not offered by the server"
            }
            it if it.is_client() => "not offered by the server",
            _ => "connection",
        };
        return kind.to_owned();
    };
    let enhanced = prose.split_ascii_whitespace().next().filter(|word| {
        let parts: Vec<_> = word.split('.').collect();
        let number = |part: &&str| part.len() <= 3 && part.parse::<u16>().is_ok();
        parts.len() == 3 && parts.iter().all(number)
    });
    enhanced.map_or_else(|| code.to_string(), |enhanced| format!("{code} {enhanced}"))
}

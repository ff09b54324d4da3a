//! English. ASCII alone, so that the text part goes out as it is read.

use super::{Facts, Parts, Words, span};
use crate::mail::Kind;

const MONTHS: [&str; 12] = [
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

pub(super) fn words(kind: Kind, facts: &Facts<'_>) -> Words {
    let service = facts.service;
    let (subject, mut before, action, after) = message(kind, facts);
    if let times @ 2.. = facts.times {
        before.insert(
            1,
            format!(
                "It happened {times} times within an hour. The time above is that of the last one."
            ),
        );
    }
    Words {
        subject,
        greeting: facts.name.map_or("Hello,".to_owned(), |name| format!("Hello {name},")),
        before,
        action,
        after,
        spelled: "If the button does not work, open this address:",
        footer: format!("{service} sent this mail by itself; answers are not read."),
    }
}

/// Subject, what stands before the link, the link's button, what stands after it.
fn message(kind: Kind, facts: &Facts<'_>) -> Parts {
    let service = facts.service;
    let happened = happened(facts);
    let lives = span(facts.lives, [("day", "days"), ("hour", "hours"), ("minute", "minutes")]);
    match kind {
        Kind::Confirm => (
            format!("Confirm your address for {service}"),
            vec![
                format!("An account at {service} was made with this address {happened}."),
                "If that was you, confirm that the address is yours:".to_owned(),
            ],
            "Confirm the address",
            vec![
                format!("The link works for {lives}."),
                "This was not you? Open the same link: its page also offers \"This was not me\", which removes the \
                 account."
                    .to_owned(),
            ],
        ),
        Kind::Recover => (
            format!("Set a new password for {service}"),
            vec![
                format!("A new password for your account at {service} was asked for {happened}."),
                "If that was you, choose one here:".to_owned(),
            ],
            "Choose a new password",
            vec![
                format!("The link works once, within {lives}."),
                "This was not you? Then there is nothing to do: your password stays as it is."
                    .to_owned(),
            ],
        ),
        Kind::PasswordChanged => (
            format!("Your password for {service} was changed"),
            vec![
                format!("The password of your account at {service} was changed {happened}."),
                "All other devices were signed out.".to_owned(),
                "This was not you? Ask for a new password at once, with \"Forgot password\" where you sign in."
                    .to_owned(),
            ],
            "",
            vec![],
        ),
        Kind::SessionReused => (
            format!("A session at {service} was ended for your safety"),
            vec![
                format!("A token of your account at {service} that had been replaced was used again {happened}."),
                "Somebody may have copied it. We ended that session, and whoever used it has to sign in again."
                    .to_owned(),
                "If you do not know the device or the place, change your password.".to_owned(),
            ],
            "",
            vec![],
        ),
        Kind::NewDevice => (
            format!("A new sign-in to your account at {service}"),
            vec![
                format!("Somebody signed in to your account at {service} {happened}."),
                "They knew the password, and used a device, browser or app that is new to your account. A private \
                 window counts as new, and so does a browser whose data was cleared."
                    .to_owned(),
                "If that was you, there is nothing to do. This was not you? Then somebody knows your password. Choose a \
                 new one; it signs out every device:"
                    .to_owned(),
            ],
            "Choose a new password",
            vec![
                "Where you are signed in you can also look through your sessions and end them."
                    .to_owned(),
            ],
        ),
        Kind::ChangeEmail => (
            format!("Confirm your new address for {service}"),
            vec![
                format!("This address was named as the new one of an account at {service} {happened}."),
                "If that was you, confirm that the address is yours:".to_owned(),
            ],
            "Confirm the new address",
            vec![
                format!("The link works for {lives}."),
                "This was not you? Then there is nothing to do: nothing changes without the link."
                    .to_owned(),
            ],
        ),
        Kind::EmailChangeNotice => (
            format!("Your address for {service} is being changed"),
            vec![
                format!("A change of the address of your account at {service} was asked for {happened}."),
                format!("The new address is {}.", facts.new_email),
                "If that was you, there is nothing to do. This was not you? Take the change back:"
                    .to_owned(),
            ],
            "Keep this address",
            vec![
                format!("The link works for {lives}."),
                "Then change your password: whoever asked for this knows it.".to_owned(),
            ],
        ),
        Kind::Invitation => invitation(facts, &lives),
    }
}

fn invitation(facts: &Facts<'_>, lives: &str) -> Parts {
    let service = facts.service;
    (
        format!("Invitation to a team at {service}"),
        vec![
            match &facts.team {
                Some(team) => {
                    format!("{} invites you to the team \"{team}\" at {service}.", facts.inviter)
                }
                None => format!("{} invites you to a team at {service}.", facts.inviter),
            },
            format!("Your role would be: {}.", facts.role.name()),
            "Look at the invitation and decide:".to_owned(),
        ],
        "See the invitation",
        vec![
            format!("It can be accepted for {lives}, by the account of this address alone."),
            "You do not know the sender? Then there is nothing to do: without you nothing happens."
                .to_owned(),
        ],
    )
}

/// "on 23 November 2026 at 21:03 UTC, from the IP address 203.0.113.7 (Firefox, Linux)"
fn happened(facts: &Facts<'_>) -> String {
    let at = facts.at;
    let month = MONTHS[usize::from(u8::from(at.month()) - 1)];
    let (day, year, hour, minute) = (at.day(), at.year(), at.hour(), at.minute());
    let ip = facts.ip.as_ref().map(|ip| format!(", from the IP address {ip}")).unwrap_or_default();
    let device = facts.device.as_ref().map(|device| format!(" ({device})")).unwrap_or_default();
    format!("on {day} {month} {year} at {hour:02}:{minute:02} UTC{ip}{device}")
}

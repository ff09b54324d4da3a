//! Checks mail: whether the mail server accepts latchkey's login and sender, and which mails wait.

use std::time::Duration;

use super::{Finding, Patient, unread};
use crate::clock::Clock;
use crate::config::Profile;
use crate::mail::operator::{self, Filter, OutboxState};
use crate::mail::{self, Probe, Tried};

/// A mail that has waited this long is late. Greylisting, which delays mails for some minutes, is
/// over by then.
const LATE: Duration = Duration::from_mins(15);
/// At most this many mails that were given up are counted.
const DEAD_MAX: u64 = 1_000;

/// Checks each step of a connection to the mail server: resolves the name, connects, encrypts, logs
/// in and names the sender. Sends no mail.
pub(super) async fn smtp(patient: &Patient<'_>) -> Vec<Finding> {
    let Some(url) = &patient.config.mail.smtp_url else {
        let (text, fix) = ("mails stay in the built-in mailbox", "set `mail.smtp_url`");
        return vec![match (patient.config.profile, patient.config.mailbox_barrier()) {
            (Profile::Production, _) => Finding::failed(text, fix),
            (Profile::Development, None) => Finding::skipped(text),
            (Profile::Development, Some(barrier)) => Finding::warning(
                format!("{text}, which nobody can open, because {}", barrier.reason()),
                fix,
            ),
        }];
    };
    let probe = match Probe::new(url, &patient.config.mail) {
        Ok(probe) => probe,
        Err(error) => return vec![Finding::failed(error.to_string(), "see docs/mail.md")],
    };
    let mut found = Vec::new();
    let mut tell = |tried: Tried| {
        let (name, ms) = (tried.step.name(), tried.took.as_millis());
        let remedy = probe.remedy(&tried).unwrap_or_default();
        found.push(match tried.outcome {
            Ok(said) => Finding::ok(format!("{name}: {said} ({ms} ms)")),
            Err(why) => Finding::failed(format!("{name}: {why}"), remedy),
        });
    };
    // If a step fails, `tell` has already reported it.
    let _ = probe.walk(None, &mut tell).await;
    found
}

/// Reports the mails that wait, and the mails that were given up.
pub(super) async fn outbox(patient: &Patient<'_>) -> Vec<Finding> {
    let Some(db) = &patient.db else {
        return vec![Finding::skipped("this check needs the database")];
    };
    let filter = Filter { states: vec![OutboxState::Dead], ..Filter::default() };
    let dead = operator::list(db, &filter, uuid::Uuid::nil(), DEAD_MAX).await;
    match (mail::depth(db, Clock::System.now()).await, dead) {
        (Ok(depth), Ok(dead)) => assess(depth, dead.len() as u64),
        (Err(error), _) | (_, Err(error)) => vec![unread("outbox", &error)],
    }
}

/// Reports the mails that wait, and the number of mails that were given up. `dead` is at most
/// [`DEAD_MAX`].
fn assess(depth: mail::Depth, dead: u64) -> Vec<Finding> {
    let minutes = depth.oldest_age.as_secs() / 60;
    let text = format!("{} mails wait, the oldest for {minutes} min", depth.waiting);
    let mut found = vec![match depth.waiting {
        0 => Finding::ok("no mail waits"),
        _ if depth.oldest_age < LATE => Finding::ok(text),
        _ => Finding::warning(
            text,
            "check that a daemon runs; `latchkey mail list` shows why the mails wait",
        ),
    }];
    if dead > 0 {
        let many = if dead >= DEAD_MAX { "or more " } else { "" };
        found.push(Finding::warning(
            format!("{dead} {many}mails were given up"),
            "run `latchkey mail list --state dead` to see why, and `latchkey mail retry --dead` \
             to send them again",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::State::{Ok, Warning};
    use super::super::tests::states;
    use super::*;

    #[test]
    fn mails_that_are_late_or_given_up_are_told() {
        let depth = |waiting, oldest_age| mail::Depth { waiting, oldest_age };
        let said = |depth, dead| states(&assess(depth, dead));
        let nothing = depth(0, Duration::ZERO);
        assert_eq!(said(nothing, 0), [Ok]);
        assert_eq!(said(depth(3, Duration::from_secs(899)), 0), [Ok]);
        assert_eq!(said(depth(3, LATE), 0), [Warning]);
        let dead = assess(nothing, 7);
        assert_eq!(states(&dead), [Ok, Warning]);
        assert_eq!(dead[1].detail, "7 mails were given up");
        assert_eq!(assess(nothing, DEAD_MAX)[1].detail, "1000 or more mails were given up");
    }
}

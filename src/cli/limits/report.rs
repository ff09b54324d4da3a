//! The output of `latchkey limits explain` for an email address, as text and as JSON.

use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::admission::explain::{
    BackOffReport, BudgetReport, CodesReport, LimitReport, LimitSubject,
};
use crate::clock::{UnixMillis, rfc3339};
use crate::config::{CaptchaProvider, Config};

fn time(at: Option<UnixMillis>) -> Value {
    at.map_or(Value::Null, |at| rfc3339(at).into())
}

pub(super) fn as_json(report: &LimitReport, subject: LimitSubject<'_>) -> Value {
    let back_off = report.back_off.map(|it| {
        json!({
            "failures": it.failures,
            "closedUntil": time(it.closed_until),
            "captchaDifficulty": it.captcha,
            "allowance": it.allowance,
            "anonymous": { "waiting": it.anonymous.clients, "until": time(it.anonymous.until) },
            "known": { "waiting": it.known.clients, "until": time(it.known.until) },
            "clientUntil": time(it.client_until),
            "clientNeedsCaptcha": it.client_needs_captcha,
        })
    });
    let codes = report.codes.as_ref().map(|it| {
        json!({
            "failures": it.failures,
            "closedUntil": time(it.closed_until),
            "waiting": it.waiting.clients,
            "until": time(it.waiting.until),
        })
    });
    let own = report.codes.as_ref();
    let code_client = subject.client.map(|_| {
        json!({
            "totpUntil": time(own.and_then(CodesReport::client_totp_until)),
            "recoveryCodeUntil": time(own.and_then(|it| it.client_until)),
        })
    });
    let budgets = report.budgets.iter().map(|it| {
        json!({ "name": it.name, "burst": it.burst, "left": it.left, "nextAt": time(it.next_at) })
    });
    json!({
        "email": subject.address,
        "account": subject.user_id,
        "backOff": back_off,
        "shared": report.is_shared,
        "codeBackOff": codes,
        "codeClient": code_client,
        "budgets": budgets.collect::<Vec<_>>(),
    })
}

pub(super) fn as_text(report: &LimitReport, subject: LimitSubject<'_>, config: &Config) -> String {
    let account = subject.user_id.map_or_else(|| "no account".to_owned(), |id| id.to_string());
    let mut out = format!("{} ({account})\n", subject.address);
    if !config.rate_limit.enabled {
        out.push_str("  limits are off (rate_limit.enabled = false): nothing below applies\n");
    }
    match &report.back_off {
        None => out.push_str("  login back-off: no failed login is counted\n"),
        Some(back_off) => {
            if report.is_shared {
                out.push_str(
                    "  login back-off: the token store has reached `rate_limit.keys_max`, so all \
                     accounts without a record share this back-off:\n",
                );
            }
            let has_captcha = config.captcha.provider != CaptchaProvider::None;
            back_off_text(back_off, has_captcha, &mut out);
        }
    }
    if let Some(codes) = &report.codes {
        codes_text(codes, &mut out);
    }
    if let Some(client) = subject.client {
        client_text(report, client, &mut out);
    }
    for budget in &report.budgets {
        out.push_str(&budget_text(budget));
    }
    let is_counted = report.back_off.is_some()
        || report.codes.is_some()
        || report.budgets.iter().any(|it| it.left < it.burst);
    if is_counted {
        let _ = writeln!(out, "To reset all of it: latchkey limits reset {}", subject.address);
    }
    out
}

fn back_off_text(it: &BackOffReport, has_captcha: bool, out: &mut String) {
    let _ = writeln!(
        out,
        "  login back-off: {} failed logins of anonymous clients count (one expires each day, and \
         at most 100 count)",
        it.failures
    );
    if let Some(difficulty) = it.captcha {
        if let Some(until) = it.closed_until {
            let _ = writeln!(out, "    no anonymous client can log in until {}", rfc3339(until));
        }
        let how = if has_captcha {
            format!("with a captcha of difficulty {difficulty}")
        } else {
            "one attempt an hour for all anonymous clients together".to_owned()
        };
        let _ = writeln!(out, "    after that: {how}");
        let _ = writeln!(
            out,
            "    anonymous clients that never failed for this account and can log in before that: \
             {}",
            it.allowance
        );
        out.push_str(
            "    known devices, active sessions and password resets by mail are not affected\n",
        );
    }
    for (name, waiting) in
        [("anonymous clients", it.anonymous), ("known devices and sessions", it.known)]
    {
        if let Some(until) = waiting.until {
            let (count, until) = (waiting.clients, rfc3339(until));
            let _ = writeln!(
                out,
                "    {name} that wait because their own passwords were wrong: {count}, the last of them until {until}"
            );
        }
    }
}

fn codes_text(it: &CodesReport, out: &mut String) {
    let _ = writeln!(
        out,
        "  wrong codes of the second factor: {} of clients that are no known device (at 100 their \
         codes of apps are refused for an hour)",
        it.failures
    );
    if let Some(until) = it.closed_until {
        let until = rfc3339(until);
        let _ = writeln!(
            out,
            "    only known devices can use a code of an app until {until}; passkeys and recovery \
             codes still complete a login"
        );
    }
    if let Some(until) = it.waiting.until {
        let (count, until) = (it.waiting.clients, rfc3339(until));
        let _ = writeln!(
            out,
            "    clients that wait because their own codes were wrong: {count}, the last of them \
             until {until}"
        );
    }
}

fn budget_text(it: &BudgetReport) -> String {
    let next = it.next_at.map(|at| format!(", the next at {}", rfc3339(at))).unwrap_or_default();
    format!("  budget {}: {} of {} left{next}\n", it.name, it.left, it.burst)
}

/// Says how long the client that the operator asked about has to wait.
fn client_text(report: &LimitReport, client: IpAddr, out: &mut String) {
    let _ = writeln!(out, "  client {client}, without a known device or session:");
    let until = report.back_off.and_then(|it| it.client_until);
    let needs_captcha = report.back_off.is_some_and(|it| it.client_needs_captcha);
    let then = if needs_captcha { ", and needs a captcha then" } else { "" };
    let _ = writeln!(out, "    passwords: {}{then}", wait_text(until));
    let codes = report.codes.as_ref();
    let totp = codes.and_then(CodesReport::client_totp_until);
    let recovery = codes.and_then(|it| it.client_until);
    let codes = if totp == recovery {
        wait_text(totp)
    } else {
        format!("{} with an app, {} with a recovery code", wait_text(totp), wait_text(recovery))
    };
    let _ = writeln!(out, "    codes: {codes}");
}

fn wait_text(until: Option<UnixMillis>) -> String {
    until.map_or_else(
        || "does not have to wait".to_owned(),
        |at| format!("has to wait until {}", rfc3339(at)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::explain::Waiting;

    /// The lines about a client whose own codes and whose cap end at these times.
    fn said(client_until: Option<UnixMillis>, closed_until: Option<UnixMillis>) -> String {
        let waiting = Waiting::default();
        let codes = CodesReport { failures: 100, closed_until, waiting, client_until };
        let report = LimitReport {
            back_off: None,
            is_shared: false,
            codes: Some(codes),
            budgets: Vec::new(),
        };
        let mut out = String::new();
        client_text(&report, IpAddr::from([192, 0, 2, 7]), &mut out);
        out
    }

    #[test]
    fn the_cap_of_codes_makes_a_client_wait_with_an_app_only() {
        let head = "  client 192.0.2.7, without a known device or session:\n    \
                    passwords: does not have to wait\n    codes: ";
        let (soon, later) = ("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:02.000Z");
        for (own, cap, codes) in [
            (None, None, "does not have to wait".to_owned()),
            (Some(2_000), None, format!("has to wait until {later}")),
            (Some(2_000), Some(1_000), format!("has to wait until {later}")),
            (
                Some(1_000),
                Some(2_000),
                format!(
                    "has to wait until {later} with an app, has to wait until {soon} with a \
                     recovery code"
                ),
            ),
            (
                None,
                Some(1_000),
                format!(
                    "has to wait until {soon} with an app, does not have to wait with a recovery \
                     code"
                ),
            ),
        ] {
            assert_eq!(said(own, cap), format!("{head}{codes}\n"), "{own:?} {cap:?}");
        }
    }

    #[test]
    fn known_devices_passkeys_and_recovery_codes_complete_a_login_at_the_cap() {
        let waiting = Waiting::default();
        let codes =
            CodesReport { failures: 100, closed_until: Some(1_000), waiting, client_until: None };
        let mut out = String::new();
        codes_text(&codes, &mut out);
        let line = "only known devices can use a code of an app until 1970-01-01T00:00:01.000Z; \
                    passkeys and recovery codes still complete a login";
        assert!(out.contains(line), "{out}");
    }
}

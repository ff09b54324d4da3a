//! `latchkey mail test`: sends one mail and reports each step.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::output::{Talk, print, print_json};
use crate::clock::Clock;
use crate::config::Config;
use crate::exit::{BAD_CONFIGURATION, FAILED, UNREACHABLE, USAGE};
use crate::mail::{Probe, TestMail, Tried};

#[derive(Args, Debug)]
pub struct Test {
    /// The email address that the mail goes to
    #[arg(long, value_name = "ADDRESS")]
    to: String,
}

pub(super) async fn run(test: &Test, config: &Config, json: bool, talk: Talk) -> ExitCode {
    let with = |code: u8, text: &str| {
        talk.fail(text);
        ExitCode::from(code)
    };
    let Some(url) = &config.mail.smtp_url else {
        return with(
            BAD_CONFIGURATION,
            "`mail.smtp_url` is not set, so mails stay in the built-in mailbox",
        );
    };
    let probe = match Probe::new(url, &config.mail) {
        Ok(probe) => probe,
        Err(error) => return with(BAD_CONFIGURATION, &error.to_string()),
    };
    let (from, now) = (&config.mail.from, Clock::System.now());
    let mail = match TestMail::new(from, &test.to, &config.public_url, now) {
        Ok(mail) => mail,
        Err(error) => return with(USAGE, &format!("--to: {error}")),
    };
    let mut steps = Vec::new();
    let mut tell = |tried: Tried| {
        if !json {
            print(talk, &line(&tried));
        }
        steps.push(tried);
    };
    let failed = probe.walk(Some(&mail), &mut tell).await.err();
    if json {
        let step = |tried: &Tried| {
            json!({
                "step": tried.step.name(),
                "ok": tried.outcome.is_ok(),
                "took": tried.took.as_secs_f64(),
                "detail": tried.outcome.as_ref().unwrap_or_else(|why| why),
            })
        };
        let steps: Vec<_> = steps.iter().map(step).collect();
        print_json(talk, &json!({ "sent": failed.is_none(), "to": test.to, "steps": steps }));
    }
    match failed {
        None => ExitCode::SUCCESS,
        Some(step) => {
            let code = if step.is_reaching() { UNREACHABLE } else { FAILED };
            let remedy = steps.last().and_then(|tried| probe.remedy(tried));
            let remedy = remedy.map(|it| format!("\n  > {it}")).unwrap_or_default();
            let step = step.name();
            with(code, &format!("the mail was not sent, because this step failed: {step}{remedy}"))
        }
    }
}

fn line(tried: &Tried) -> String {
    let (mark, detail) = match &tried.outcome {
        Ok(said) => ("ok    ", said),
        Err(why) => ("failed", why),
    };
    format!("{mark}  {:8}  {:>6} ms  {detail}\n", tried.step.name(), tried.took.as_millis())
}

//! `latchkey limits …`: shows which limit, budget or back-off applies now, and resets it.

mod report;

use std::error::Error;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use self::report::{as_json, as_text};
use super::admin::{self, Target};
use super::ending::broken_off;
use super::open::{self, Opened};
use super::output::{Talk, print, print_json, say_line};
use crate::account::operator::{self as accounts, Who};
use crate::admission::budgets::BudgetSizes;
use crate::admission::explain::{self, LimitSubject};
use crate::config::Config;
use crate::exit::{UNREACHABLE, USAGE};
use crate::user::EmailAddress;

/// How long the admin listener may take to respond.
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show which limits, budgets and back-offs apply to an email address or an IP address, why,
    /// until when, and how to reset them. This command changes nothing
    ///
    /// For an email address, the command shows the login back-off, the wrong codes of the second
    /// factor, and the budgets. All daemons share these values in the token store. For an IP
    /// address, the command shows the limits of this address. Each daemon has its own counters for
    /// these limits, so the command asks the daemon whose `admin.listen` is in the configuration.
    Explain {
        /// An email address (an account is not necessary), or the IP address of a client. If a
        /// user's login gets status 429, write the user's email address here, and the user's IP
        /// address after `--client`
        #[arg(value_name = "EMAIL|IP")]
        subject: Subject,
        /// Also show how long the client with this IP address has to wait before it can send a
        /// password, and before it can send a code of the second factor. Use this option with an
        /// email address
        #[arg(long, value_name = "IP")]
        client: Option<IpAddr>,
    },
    /// Delete the login back-off, the wrong codes of the second factor, and the budgets of an email
    /// address. The audit log records the action `limits.reset`
    Reset {
        /// The email address (an account is not necessary)
        #[arg(value_name = "EMAIL")]
        email: Subject,
    },
}

#[derive(Clone, Debug)]
pub enum Subject {
    Email(EmailAddress),
    Ip(IpAddr),
}

impl FromStr for Subject {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        EmailAddress::parse(text)
            .map(Self::Email)
            .map_err(|_| "it is neither an email address nor an IP address")
    }
}

pub async fn run(command: &Command, config: &Config, json: bool, talk: Talk) -> ExitCode {
    let (email, client, is_reset) = match command {
        Command::Explain { subject: Subject::Ip(_), client: Some(_) } => {
            talk.fail(
                "--client needs an email address, because it shows how long that client has to \
                 wait before it can log in to the account",
            );
            return ExitCode::from(USAGE);
        }
        Command::Explain { subject: Subject::Ip(ip), client: None } => {
            return explain_ip(*ip, config, json, talk).await;
        }
        Command::Reset { email: Subject::Ip(_) } => {
            talk.fail(
                "the limits of an IP address are in the memory of each daemon and end by \
                 themselves: `latchkey limits explain IP` shows when",
            );
            return ExitCode::from(USAGE);
        }
        Command::Explain { subject: Subject::Email(email), client } => (email, *client, false),
        Command::Reset { email: Subject::Email(email) } => (email, None, true),
    };
    let opened = match open::stores(config).await {
        Ok(opened) => opened,
        Err(fault) => return fault.report(talk),
    };
    let done = if is_reset {
        reset(email, config, &opened, json, talk).await
    } else {
        explain_email((email, client), config, &opened, json, talk).await
    };
    done.unwrap_or_else(|error| broken_off(talk, error.as_ref()))
}

/// Returns the subject of an email address, with the id of its account.
async fn subject<'a>(
    (email, client): (&'a EmailAddress, Option<IpAddr>),
    config: &Config,
    opened: &Opened,
) -> Result<LimitSubject<'a>, Box<dyn Error>> {
    let who = Who::Email(email.clone());
    let user_id = accounts::find(&opened.db, &who).await?.map(|user| user.id);
    Ok(LimitSubject { address: email.normal(), user_id, client, sizes: BudgetSizes::of(config) })
}

async fn explain_email(
    of: (&EmailAddress, Option<IpAddr>),
    config: &Config,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let now = opened.clock.now();
    let subject = subject(of, config, opened).await?;
    let report = explain::explain(&opened.store, &opened.limit_keys, subject, now).await?;
    let log_name = opened.audit.log_name(subject.address);
    if json {
        let mut data = as_json(&report, subject);
        data["logName"] = log_name.into();
        return Ok(print_json(talk, &data));
    }
    let log_line = format!("  in the log: account={log_name}\n");
    Ok(print(talk, &(as_text(&report, subject, config) + &log_line)))
}

async fn reset(
    email: &EmailAddress,
    config: &Config,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let subject = subject((email, None), config, opened).await?;
    let deleted = explain::reset(&opened.store, &opened.limit_keys, subject).await?;
    if deleted > 0 {
        accounts::record_limits_reset(&opened.change(), email, subject.user_id).await?;
    }
    if json {
        return Ok(print_json(talk, &json!({ "email": email.as_typed(), "deleted": deleted })));
    }
    let what = match deleted {
        0 => "there was nothing to delete".to_owned(),
        1 => "1 entry deleted".to_owned(),
        many => format!("{many} entries deleted"),
    };
    say_line(&format!("{}: {what}", email.as_typed()));
    Ok(ExitCode::SUCCESS)
}

/// Asks the daemon's admin listener, because these limits are in the daemon's memory.
async fn explain_ip(ip: IpAddr, config: &Config, json: bool, talk: Talk) -> ExitCode {
    let authority = admin::reachable(config.admin.listen).to_string();
    let target = Target { authority, path: format!("/limits/{ip}") };
    let response = match tokio::time::timeout(TIMEOUT, admin::get(&target)).await {
        Ok(Ok(response)) if response.status == 200 => response,
        Ok(Ok(response)) if response.status == 404 => {
            return unreachable(talk, &target, "the daemon is still starting");
        }
        Ok(Ok(response)) => {
            return unreachable(
                talk,
                &target,
                &format!("it responds with status {}", response.status),
            );
        }
        Ok(Err(error)) => return unreachable(talk, &target, &error.to_string()),
        Err(_) => return unreachable(talk, &target, "it does not respond"),
    };
    let Ok(limits) = serde_json::from_slice::<Value>(&response.body) else {
        return unreachable(talk, &target, "its response is not JSON");
    };
    if json {
        return print_json(talk, &limits);
    }
    print(talk, &ip_text(ip, &limits))
}

fn unreachable(talk: Talk, target: &Target, why: &str) -> ExitCode {
    talk.fail(&format!(
        "the limits of an IP address are in the memory of the daemon, and the request to its \
         admin listener at {} failed: {why}",
        target.authority
    ));
    ExitCode::from(UNREACHABLE)
}

fn ip_text(ip: IpAddr, limits: &Value) -> String {
    let mut out = format!("{ip}, as this daemon counts it\n");
    let items = limits["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        out.push_str("  limits are off (rate_limit.enabled = false)\n");
    }
    for item in items {
        let number = |name: &str| item[name].as_u64().unwrap_or_default();
        let policy = item["policy"].as_str().unwrap_or_default();
        let state = match item["retryAfter"].as_u64() {
            Some(seconds) => format!("no request left, the next request in {seconds} s"),
            None => format!("{} of {} requests left", number("remaining"), number("quota")),
        };
        let _ = writeln!(out, "  {policy}: {state} (full again in {} s)", number("reset"));
    }
    out.push_str(
        "These limits end by themselves. A login can also be delayed by its account: run \
         latchkey limits explain EMAIL --client IP.\n\
         If a proxy is in front of the daemon, add it to http.trusted_proxies, so that each client \
         is counted separately.\n",
    );
    out
}

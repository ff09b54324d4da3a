//! Defaults that depend on other settings or on the machine.

use std::net::IpAddr;
use std::time::Duration;

use super::kind::Value;
use super::layers::Values;
use super::load::Machine;
use super::passkeys;
use super::text::{domain, helo_name, host};
use super::url::Url;

/// Sets the defaults of settings that no source gave. If the value of a setting was refused,
/// settings that depend on it get no default.
pub fn derive(values: &mut Values, machine: Machine) {
    if let Some(Value::Address(listen)) = values.get("http.listen").cloned() {
        let scheme = if values.is_given("http.tls.cert") { "https" } else { "http" };
        values.derive("public_url", Value::Text(format!("{scheme}://{listen}")));
    }
    if let Some(public_url) = values.text("public_url").map(str::to_owned) {
        let from = format!("latchkey <no-reply@{}>", mail_host(&public_url));
        values.derive("mail.from", Value::Text(from));
        values.derive("mail.helo", Value::Text(default_helo(&public_url)));
        let host = Url::parse(&public_url).and_then(|url| host(url.host).ok());
        values.derive("captcha.hostnames", Value::List(host.into_iter().collect()));
        passkeys::derive(values, &public_url);
        values.derive("tokens.issuer", Value::Text(public_url));
    }
    if let Some(data_dir) = values.text("data_dir") {
        let url = format!("sqlite://{}/latchkey.db", data_dir.trim_end_matches('/'));
        values.derive("database.url", Value::Text(url));
    }
    if let Some(url) = values.text("database.url") {
        let embedded = url.starts_with("sqlite:");
        values.derive("database.auto_migrate", Value::Bool(embedded));
    }
    if let Some(profile) = values.word("profile") {
        for key in ["database.tls_required", "redis.tls_required", "mail.tls_required"] {
            values.derive(key, Value::Bool(profile == "production"));
        }
    }
    let workers = u64::try_from(machine.cores).unwrap_or(1).clamp(1, 1_024);
    values.derive("password.workers", Value::Integer(workers));
    let format = if machine.log_on_terminal { "pretty" } else { "json" };
    values.derive("log.format", Value::Word(format));
    // If an operator shortens only `sessions.absolute_ttl`, the default of `sessions.idle_ttl`
    // becomes shorter as well.
    if let (Some(idle), Some(absolute)) = (ttl(values, "idle"), ttl(values, "absolute"))
        && !values.is_given("sessions.idle_ttl")
        && idle > absolute
    {
        values.limit("sessions.idle_ttl", Value::Duration(absolute));
    }
}

fn ttl(values: &Values, which: &str) -> Option<Duration> {
    values.read::<Duration>(&format!("sessions.{which}_ttl"))
}

/// The host of the default sender, in A-labels: the host of `public_url` if that host is a name
/// with a dot, otherwise `localhost`.
fn mail_host(public_url: &str) -> String {
    Url::parse(public_url)
        .filter(|url| url.host.parse::<IpAddr>().is_err())
        .and_then(|url| domain(url.host).ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// The default name in EHLO: the host of `public_url` if that host is a domain name or an IP
/// address of an interface. Otherwise an address literal, because a server that requires a full
/// domain name refuses names such as `localhost`.
fn default_helo(public_url: &str) -> String {
    Url::parse(public_url)
        .filter(|url| !url.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified()))
        .and_then(|url| helo_name(url.host).ok())
        .unwrap_or_else(|| "[127.0.0.1]".to_owned())
}

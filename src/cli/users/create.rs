//! `latchkey users create`: creates an account.

use std::error::Error;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::super::open::Opened;
use super::super::output::{Talk, print, print_json, say_line};
use crate::account::operator::{self, Address, Created, FirstMail, NewAccount};
use crate::config::{self, Config};
use crate::exit::{CHECK_SAYS_NO, USAGE};
use crate::password::{Breach, Breached, Finding, HashError, Hasher, Policy, Setup};
use crate::secret::Secret;
use crate::telemetry::Metrics;
use crate::user::{EmailAddress, PersonName};

/// At most this many bytes of a password file are read: 256 characters of four bytes each, and a
/// line ending.
const PASSWORD_BYTES_MAX: u64 = 4 * 256 + 2;

#[derive(Args, Debug)]
pub struct Create {
    /// The email address
    #[arg(long)]
    email: String,
    /// The user's name
    #[arg(long)]
    name: String,
    /// Treat the email address as verified. The user then gets a team at once
    #[arg(long)]
    verified: bool,
    /// Read the password from this file, or from stdin if FILE is `-`. The password cannot be an
    /// argument, because other users of the machine can read the command line
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Do not send a mail to the user
    #[arg(long)]
    no_mail: bool,
}

pub(super) async fn create(
    create: &Create,
    config: &Config,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let wrong = |what: &str| {
        talk.fail(what);
        Ok(ExitCode::from(USAGE))
    };
    let email = match EmailAddress::parse(&create.email) {
        Ok(email) => email,
        Err(error) => return wrong(&format!("--email: {error}")),
    };
    let name = match PersonName::parse(&create.name) {
        Ok(name) => name,
        Err(error) => return wrong(&format!("--name: {error}")),
    };
    let given = create.password_file.as_deref().map(read_password).transpose()?;
    if let Some(password) = &given {
        let context = [email.as_typed(), email.normal(), email.local(), name.as_str()];
        if let Err(violation) = Policy::of(config).check(password, &context) {
            return wrong(&format!("the password is refused: {violation}"));
        }
        if is_breached(password, config, opened).await? {
            return wrong(&format!("the password is refused: {Breached}"));
        }
    }
    let has_password = given.is_some();
    let mail = match (create.no_mail, has_password, create.verified) {
        (true, ..) | (_, true, true) => FirstMail::Nothing,
        (_, true, false) => FirstMail::Confirm,
        (_, false, _) => FirstMail::SetPassword,
    };
    let mut hasher = hasher(&config.password)?;
    let password_hash = match &given {
        Some(password) => hasher.hash(password)?,
        None => hasher.decoy().to_owned(),
    };
    let account = NewAccount {
        email,
        name: name.as_str().to_owned(),
        password_hash,
        address: if create.verified { Address::Verified } else { Address::Unverified },
        mail,
    };
    let Created::Now(id) = operator::create(&opened.change(), &account).await? else {
        talk.fail("an account with this email address already exists");
        return Ok(ExitCode::from(CHECK_SAYS_NO));
    };
    match mail {
        FirstMail::SetPassword => {
            say_line("the user will get a mail with a link that sets the password");
        }
        FirstMail::Confirm => {
            say_line("the user will get a mail with a link that confirms the email address");
        }
        FirstMail::Nothing => {}
    }
    if json {
        return Ok(print_json(talk, &json!({ "id": id })));
    }
    Ok(print(talk, &format!("{id}\n")))
}

/// Whether the service of breached passwords knows the password. If no service is configured, or if
/// the service cannot be reached, the password is accepted. The same happens in a registration.
async fn is_breached(
    password: &Secret<String>,
    config: &Config,
    opened: &Opened,
) -> Result<bool, Box<dyn Error>> {
    let metrics = Arc::new(Metrics::new().map_err(|error| error.to_string())?);
    let service = Breach::of(&config.password, &opened.clock, &metrics)
        .map_err(|error| format!("password.breach_url: {error}"))?;
    let Some(service) = service else { return Ok(false) };
    Ok(service.check(password).await == Finding::Breached)
}

/// A hasher with the current parameters. Users who have no password yet get the decoy of this
/// hasher as their hash.
pub(super) fn hasher(password: &config::Password) -> Result<Hasher, HashError> {
    Hasher::new(Setup::of(password))
}

/// Reads a password from a file. One line ending belongs to the file, not to the password.
fn read_password(path: &Path) -> Result<Secret<String>, Box<dyn Error>> {
    let mut text = zeroize::Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(PASSWORD_BYTES_MAX).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text)
    };
    read.map_err(|error| format!("cannot read the password: {error}"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

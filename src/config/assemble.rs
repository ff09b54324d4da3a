//! From values to the typed [`Config`]: one line a setting.

use std::path::PathBuf;
use std::time::Duration;

use super::kind::{Value, network};
use super::layers::Values;
use super::{
    Captcha, CaptchaFallback, CaptchaPoint, CaptchaProvider, Config, Database, ExposeExistence,
    Http, IntrospectionClient, Log, LogFormat, Mail, Password, PasswordEngine, Pepper, Profile,
    RateLimits, Registration, RegistrationMode, Sessions, Teams, Telemetry, TlsFiles, Tokens,
    VaultAlgorithm,
};
use crate::secret::{MasterKey, Secret};

/// Reading values by their kind; `None` where there is none.
impl Values {
    /// Of the kinds that stay text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// One of the words that the catalogue lists.
    pub fn word(&self, key: &str) -> Option<&'static str> {
        match self.get(key)? {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    /// A switch.
    pub fn on(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(on) => Some(*on),
            _ => None,
        }
    }

    /// A duration.
    pub fn duration(&self, key: &str) -> Option<Duration> {
        match self.get(key)? {
            Value::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    /// An integer; the catalogue's range makes it fit.
    pub fn integer<T: TryFrom<u64>>(&self, key: &str) -> Option<T> {
        match self.get(key)? {
            Value::Integer(number) => T::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A list.
    pub fn list(&self, key: &str) -> Option<&[String]> {
        match self.get(key)? {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    fn address(&self, key: &str) -> Option<std::net::SocketAddr> {
        match self.get(key)? {
            Value::Address(address) => Some(*address),
            _ => None,
        }
    }

    fn secret(&self, key: &str) -> Option<Secret<String>> {
        self.text(key).map(|text| Secret::new(text.to_owned()))
    }

    fn key(&self, key: &str) -> Option<MasterKey> {
        match self.get(key)? {
            Value::Key(bytes) => Some(MasterKey::new(*bytes)),
            _ => None,
        }
    }
}

/// The configuration; `None` where a value that must be there was refused.
pub fn assemble(values: &Values, telemetry: Telemetry) -> Option<Config> {
    Some(Config {
        profile: Profile::of(values.word("profile")?)?,
        public_url: values.text("public_url")?.to_owned(),
        data_dir: values.text("data_dir")?.into(),
        http: http(values)?,
        admin_listen: values.address("admin.listen")?,
        database: Database {
            url: values.secret("database.url")?,
            auto_migrate: values.on("database.auto_migrate")?,
            max_connections: values.integer("database.max_connections")?,
        },
        redis_url: values.secret("redis.url"),
        mail: Mail {
            smtp_url: values.secret("mail.smtp_url"),
            from: values.text("mail.from")?.to_owned(),
            new_device: values.on("mail.new_device")?,
        },
        captcha: captcha(values)?,
        tokens: Tokens {
            algorithm: VaultAlgorithm::of(values.word("tokens.algorithm")?)?,
            issuer: values.text("tokens.issuer")?.to_owned(),
            audience: values.text("tokens.audience")?.to_owned(),
            secret: values.secret("tokens.secret"),
            user_ttl: values.duration("tokens.user_ttl")?,
            vault_ttl: values.duration("tokens.vault_ttl")?,
            rotate_every: values.duration("tokens.rotate_every")?,
        },
        master_key: values.key("secrets.master_key"),
        master_key_previous: values.key("secrets.master_key_previous"),
        sessions: Sessions {
            idle_ttl: values.duration("sessions.idle_ttl")?,
            absolute_ttl: values.duration("sessions.absolute_ttl")?,
            refresh_grace: values.duration("sessions.refresh_grace")?,
        },
        verification_ttl: values.duration("verification.ttl")?,
        recovery_ttl: values.duration("recovery.ttl")?,
        registration: Registration {
            mode: RegistrationMode::of(values.word("registration.mode")?)?,
            domains: values.list("registration.domains")?.to_vec(),
            unverified_ttl: values.duration("registration.unverified_ttl")?,
            expose_existence: ExposeExistence::of(values.word("registration.expose_existence")?)?,
        },
        password: password(values)?,
        introspection_clients: clients(values.list("introspection.clients")),
        rate_limit: RateLimits {
            enabled: values.on("rate_limit.enabled")?,
            replicas: values.integer("rate_limit.replicas")?,
            account_writes: values.integer("rate_limit.account_writes")?,
            keys_max: values.integer("rate_limit.keys_max")?,
        },
        teams: teams(values)?,
        audit_retention: values.duration("audit.retention")?,
        log: Log {
            format: LogFormat::of(values.word("log.format")?)?,
            filter: values.text("log.filter")?.to_owned(),
            is_coloured: false,
        },
        telemetry,
    })
}

fn http(values: &Values) -> Option<Http> {
    let path = |key| values.text(key).map(PathBuf::from);
    let networks = values.list("http.trusted_proxies")?;
    Some(Http {
        listen: values.address("http.listen")?,
        tls: path("http.tls.cert")
            .zip(path("http.tls.key"))
            .map(|(cert, key)| TlsFiles { cert, key }),
        trusted_proxies: networks.iter().map(|text| network(text)).collect::<Option<_>>()?,
        cors_origins: values.list("http.cors_origins")?.to_vec(),
        max_connections: values.integer("http.max_connections")?,
        max_connections_per_source: values.integer("http.max_connections_per_source")?,
        max_in_flight: values.integer("http.max_in_flight")?,
        drain_delay: values.duration("http.drain_delay")?,
    })
}

fn captcha(values: &Values) -> Option<Captcha> {
    Some(Captcha {
        provider: CaptchaProvider::of(values.word("captcha.provider")?)?,
        on: values.list("captcha.on")?.iter().filter_map(|word| CaptchaPoint::of(word)).collect(),
        secret: values.secret("captcha.secret"),
        site_key: values.text("captcha.site_key").map(str::to_owned),
        hostnames: values.list("captcha.hostnames")?.to_vec(),
        min_score: values.text("captcha.min_score").and_then(|score| score.parse().ok()),
        verify_url: values.text("captcha.verify_url").map(str::to_owned),
        fallback: CaptchaFallback::of(values.word("captcha.fallback")?)?,
    })
}

fn password(values: &Values) -> Option<Password> {
    Some(Password {
        memory_kib: values.integer("password.memory_kib")?,
        iterations: values.integer("password.iterations")?,
        parallelism: values.integer("password.parallelism")?,
        min_length: values.integer("password.min_length")?,
        workers: values.integer("password.workers")?,
        engine: PasswordEngine::of(values.word("password.engine")?)?,
        pepper: values.text("password.pepper").and_then(pepper),
        pepper_previous: (values.list("password.pepper_previous")?.iter())
            .map(|text| pepper(text))
            .collect::<Option<_>>()?,
        breach_url: values.text("password.breach_url").map(str::to_owned),
    })
}

fn teams(values: &Values) -> Option<Teams> {
    Some(Teams {
        max_per_user: values.integer("teams.max_per_user")?,
        projects_max: values.integer("teams.projects_max")?,
        members_max: values.integer("teams.members_max")?,
        keys_max: values.integer("teams.keys_max")?,
        invitations_per_day: values.integer("teams.invitations_per_day")?,
    })
}

fn pepper(text: &str) -> Option<Pepper> {
    let (version, key) = super::text::pepper(text).ok()?;
    Some(Pepper { version, key: Secret::new(key) })
}

/// `id:secret`, as the catalogue's kind made sure.
fn clients(items: Option<&[String]>) -> Vec<IntrospectionClient> {
    let pairs = items.unwrap_or_default().iter().filter_map(|item| item.split_once(':'));
    pairs
        .map(|(id, secret)| IntrospectionClient {
            id: id.to_owned(),
            secret: Secret::new(secret.to_owned()),
        })
        .collect()
}

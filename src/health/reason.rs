//! [`Reason`]: why a store accepts no writes. `/readyz`, the log and `latchkey doctor` use the same
//! list of names, and they use no other names.

/// Creates the enum, the list of all reasons and the texts of each reason from one table.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident = $name:literal $database:literal $redis:literal;)+) => {
        /// Why a store accepts no writes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[doc = $doc])+ $reason,)+
        }

        impl Reason {
            /// All reasons, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$reason,)+];

            /// The reason's name in `/readyz` and the log. Names never change, because programs
            /// depend on them.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }

            /// What the operator can do if the store is the database.
            pub const fn database_fix(self) -> &'static str {
                match self {
                    $(Self::$reason => $database,)+
                }
            }

            /// What the operator can do if the store is Redis.
            pub const fn redis_fix(self) -> &'static str {
                match self {
                    $(Self::$reason => $redis,)+
                }
            }
        }
    };
}

reasons! {
    /// No connection to the server can be opened, or the connection broke.
    Unreachable = "unreachable"
        "check that the server runs, that `database.url` leads to it, and that no firewall blocks \
         the connection"
        "check that the server runs, that `redis.url` leads to it (rediss:// with TLS), and that \
         no firewall blocks the connection";
    /// The store did not respond in time.
    Timeout = "timeout"
        "check the server's load and locks, and the network; `database.max_connections` may be \
         too low"
        "check the server's load (SLOWLOG GET) and the network";
    /// The server is a standby or a replica, or it was set to read-only. With SQLite, the file or
    /// its directory is read-only.
    ReadOnly = "read-only"
        "set `database.url` to the primary, or end the server's read-only mode; with SQLite, make \
         the file and its directory writable"
        "set `redis.url` to the primary, or promote this replica (REPLICAOF NO ONE)";
    /// The disk is full, or a disk quota or the maximum file size is reached.
    FullDisk = "full-disk"
        "delete files on the disk of the database to free space; with SQLite, also check the \
         quota and the limit of the file size (ulimit -f), and if neither is reached, the log of \
         the kernel"
        "delete files on the disk of Redis to free space";
    /// The server has no memory left, or Redis has reached its `maxmemory`.
    OutOfMemory = "out-of-memory"
        "give the server more memory"
        "raise maxmemory; with noeviction, every write fails while the limit is reached";
    /// The database role or the ACL user lacks a right that latchkey needs.
    NoPermission = "no-permission"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO the role"
        "grant the user the rights in docs/secure.md: ~lk:* +@read +@write +eval +evalsha \
         +script|load +ping +time +select";
    /// The server refuses the user name or the password.
    Authentication = "authentication"
        "correct the user and the password in `database.url`, or pg_hba.conf"
        "correct the user and the password in `redis.url`";
    /// The certificate of the server was not accepted: its authority is not trusted, it is for
    /// another name, or it has expired.
    Certificate = "certificate"
        "name a file with the certificate of the server's authority in `database.ca_file`, write a \
         host name of the server's certificate in the URL, and renew a certificate that has expired"
        "name a file with the certificate of the server's authority in `redis.ca_file`, write a \
         host name of the server's certificate in `redis.url`, and renew a certificate that has \
         expired";
    /// The server accepts no more connections.
    TooManyConnections = "too-many-connections"
        "raise the server's max_connections, or lower `database.max_connections`"
        "raise the server's maxclients";
    /// The server is starting and still loads its data.
    Starting = "starting"
        "wait until the server has started"
        "wait until Redis has loaded its data";
    /// Some slots of the cluster have no node that serves them.
    ClusterDown = "cluster-down"
        "check that every node of the cluster runs"
        "start the nodes of the slots that no node serves; to find them: redis-cli --cluster \
         check HOST:PORT";
    /// The URL is for a single server, but the server is a node of a cluster.
    ClusterNode = "cluster-node"
        "check that `database.url` leads to one server"
        "write redis+cluster:// (or rediss+cluster://) in `redis.url`";
    /// The URL is for a cluster, but the server is not part of a cluster.
    NotACluster = "not-a-cluster"
        "check that `database.url` leads to one server"
        "write redis:// (or rediss://) in `redis.url`";
    /// Redis cannot save its data to the disk and therefore refuses writes (`MISCONF`).
    PersistenceFailing = "persistence-failing"
        "check that the server can write its data"
        "correct why Redis cannot save: check its log, and the free space and the permissions of \
         its `dir`";
    /// Redis has fewer replicas than `min-replicas-to-write` requires (`NOREPLICAS`).
    ReplicasMissing = "replicas-missing"
        "start the standby servers that commits wait for"
        "start the missing replicas, or lower min-replicas-to-write";
    /// Another process holds the lock of the SQLite file.
    Locked = "locked"
        "end the other process that holds the lock of the file"
        "find the client that blocks Redis: CLIENT LIST";
    /// The data cannot be read or written because the disk or the file is damaged.
    Damaged = "damaged"
        "check the server's log and the disk; stop the daemon and restore the last backup"
        "check the log of Redis and the disk";
    /// Data that was committed is missing when it is read again.
    Stale = "stale"
        "set `database.url` to a single server: data that was written is missing when it is read"
        "set `redis.url` to a single server: data that was written is missing when it is read";
    /// The store refuses writes for a reason that is not in this list. The log contains the store's
    /// error text.
    Refused = "refused"
        "run `latchkey doctor`, and check the server's log"
        "correct what the error of Redis names, and check its log";
}

impl Reason {
    /// Whether the reason only says that the store did not respond properly. A diagnosis can find
    /// the cause.
    pub const fn is_vague(self) -> bool {
        matches!(self, Self::Unreachable | Self::Timeout | Self::ClusterDown)
    }

    /// Whether the server refuses every write. If it does, work that ends with a write is useless.
    ///
    /// The result is false for [`Reason::FullDisk`], because a database with a full disk still
    /// accepts writes that fit into its existing pages. The result is also false for reasons that
    /// are perhaps gone at the next connection, such as [`Reason::Timeout`].
    pub const fn refuses_every_write(self) -> bool {
        matches!(
            self,
            Self::ReadOnly | Self::OutOfMemory | Self::PersistenceFailing | Self::ReplicasMissing
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own_and_is_documented() {
        let names: BTreeSet<&str> = Reason::ALL.iter().map(|it| it.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        let page = include_str!("../../docs/operate.md");
        let runbook = include_str!("../../docs/runbooks/LatchkeyStoreNotWritable.md");
        let (_, fix) = runbook.split_once("## Fix").expect("it has a section Fix");
        for reason in Reason::ALL {
            let row = format!("| `{}` |", reason.name());
            assert!(page.contains(&row), "docs/operate.md has no row `{}`", reason.name());
            let item = format!("`{}`", reason.name());
            assert!(fix.contains(&item), "the runbook has no fix for {item}");
        }
    }
}

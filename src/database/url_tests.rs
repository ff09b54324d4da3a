//! Tests of the reader of `database.url`.

use std::path::PathBuf;

use super::*;
use crate::config::Database;

#[test]
fn a_url_that_a_driver_cannot_read_is_refused_and_not_quoted() {
    for (url, bad) in [
        ("postgres://u:p@a:1,b:2/d", BadUrl::Hosts),
        ("postgres://u:p@a/d?host=a,b", BadUrl::Hosts),
        ("postgres://u:p@[::1/d", BadUrl::Malformed),
        ("postgres://u:p@a/d?sslmode=hunter2", BadUrl::Malformed),
        ("postgres://u:p@a/d?port=hunter2", BadUrl::Malformed),
        ("sqlite://x.db?mode=hunter2", BadUrl::Malformed),
        ("sqlite://x.db?hunter2=1", BadUrl::Malformed),
        ("sqlite://u:hunter2/x.db", BadUrl::Malformed),
    ] {
        let refused = check(&Database::at(url)).expect_err(url);
        assert_eq!(refused.to_string(), bad.to_string(), "{url}");
        assert!(!DbErr::from(refused).to_string().contains("hunter2"));
    }
    for url in [
        "postgres://u:p%40ss@db.example:5432/d?sslmode=require&options[search_path]=a",
        "postgres://u@localhost/d?host=/run/postgresql",
        "postgres://u:p%40ss@/d?host=/run/postgresql",
        "postgresql:///d",
        "postgresql://[::1]/d",
        "sqlite://./data/x.db?mode=rwc",
        "sqlite:///var/lib/x.db",
    ] {
        assert!(check(&Database::at(url)).is_ok(), "{url}");
    }
}

#[test]
fn parameters_of_other_drivers_are_left_out_and_named() {
    let url = "postgres://u:p@h/d?sslpassword=hunter2&sslmode=require&pgbouncer=true&x=y+z";
    assert_eq!(ignored(&Database::at(url)), ["sslpassword", "pgbouncer", "an unknown parameter"]);
    let options = postgres(&Database::at(url)).unwrap();
    assert_eq!((options.get_host(), options.get_database()), ("h", Some("d")));
    assert_eq!(format!("{:?}", options.get_ssl_mode()), "Require");
    assert_eq!(ignored(&Database::at("postgres://h/d?options[a]=b&user=c")), [""; 0]);
    assert_eq!(ignored(&Database::at("sqlite://x.db?mode=rwc")), [""; 0]);
}

#[test]
fn the_host_is_read_as_libpq_reads_it() {
    for (url, host, port) in [
        ("postgres://u@[::1]:5433/d", "::1", 5433),
        ("postgres://u@[2001:DB8::1]/d", "2001:DB8::1", 5432),
        ("postgres://db.example/d?host=other.example&port=7", "other.example", 7),
        ("postgres://db.example/d?hostaddr=192.0.2.7", "192.0.2.7", 5432),
        ("postgres://u:p@ss@db.example/d", "db.example", 5432),
    ] {
        let options = postgres(&Database::at(url)).unwrap();
        assert_eq!((options.get_host(), options.get_port()), (host, port), "{url}");
        assert_eq!((options.get_socket(), options.get_database()), (None, Some("d")), "{url}");
    }
    for (url, folder, port) in [
        ("postgres://u@%2Frun%2Fpg/d", "/run/pg", 5432),
        ("postgresql://u@%2frun%2fpg:5433/d?sslmode=verify-full", "/run/pg", 5433),
        ("postgresql:///d?host=/run/pg&port=5433", "/run/pg", 5433),
        ("postgres://u:p@/d?host=/run/pg", "/run/pg", 5432),
        ("postgres://u@/d?host=%2Frun%2Fpg", "/run/pg", 5432),
        ("postgresql:///d?port=59999", SOCKET_FOLDERS[0], 59999),
        ("postgres://u@:59999/d", SOCKET_FOLDERS[0], 59999),
    ] {
        let options = postgres(&Database::at(url)).unwrap();
        let socket = options.get_socket().map(PathBuf::as_path);
        assert_eq!((socket, options.get_port()), (Some(Path::new(folder)), port), "{url}");
        assert_eq!(options.get_database(), Some("d"), "{url}");
        assert!(matches!(options.get_ssl_mode(), PgSslMode::Disable), "{url}");
    }
}

#[test]
fn only_a_verified_server_or_this_machine_is_protected() {
    for (query, expected) in [
        ("", Protection::None),
        ("?sslmode=disable", Protection::None),
        ("?sslmode=allow", Protection::None),
        ("?sslmode=prefer", Protection::None),
        ("?sslmode=require", Protection::Unverified),
        ("?sslmode=verify-full&sslmode=require", Protection::Unverified),
        ("?sslmode=require&sslrootcert=system", Protection::Unverified),
        ("?sslmode=verify-ca", Protection::AnyName),
        ("?application_name=b&sslmode=verify-full", Protection::Verified),
        ("?ssl-mode=verify%2Dfull", Protection::Verified),
        ("?sslrootcert=system", Protection::Verified),
    ] {
        for host in ["db.example", "10.0.0.7", "[2001:db8::7]", "localhost.example"] {
            let url = format!("postgres://u@{host}/d{query}");
            assert_eq!(protection(&Database::at(&url)), expected, "{url}");
        }
    }
    for url in [
        "postgres://u@localhost/d",
        "postgres://u@LOCALHOST:7/d",
        "postgres://u@127.0.0.2/d?sslmode=disable",
        "postgres://u@[::1]/d",
        "postgres://u@[::ffff:127.0.0.1]/d",
        "postgres://db.example/d?hostaddr=127.0.0.1",
        "postgres:///d",
        "postgres://u@%2Frun%2Fpg/d",
        "postgres://db.example/d?host=/run/pg",
        "sqlite://x.db",
    ] {
        assert_eq!(protection(&Database::at(url)), Protection::Local, "{url}");
    }
    for url in
        ["postgres://u@localhost/d?host=db.example", "postgres://u@localhost/d?hostaddr=192.0.2.7"]
    {
        assert_eq!(protection(&Database::at(url)), Protection::None, "{url}");
    }
}

#[test]
fn a_file_of_authorities_is_read_before_a_connection() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let certificate = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    std::fs::write(&file, certificate.cert.pem()).unwrap();
    let path = file.display();
    for name in ROOT_CERT {
        let url = format!("postgres://db.example/d?sslmode=verify-full&{name}={path}");
        let mut database = Database::at(&url);
        assert!(check(&database).is_ok(), "{name}");
        database.ca_file = Some(file.clone());
        assert!(matches!(check(&database), Err(BadUrl::TwoFiles)), "{name}");
    }
    let mut database = Database::at("postgres://db.example/d?sslmode=verify-full");
    database.ca_file = Some(dir.path().join("removed.pem"));
    let refused = check(&database).unwrap_err().to_string();
    assert!(refused.contains("`database.ca_file`, which names the file"), "{refused}");
    assert!(!refused.contains("sslrootcert"), "{refused}");
    for mode in ["require", "verify-ca"] {
        let url = format!("postgres://db.example/d?sslmode={mode}&sslrootcert={path}.missing");
        let refused = check(&Database::at(&url)).unwrap_err();
        assert!(refused.to_string().contains("ca.pem.missing, which cannot be read"));
    }
}

//! The binary: what concerns the whole process, then the command line.

fn main() -> std::process::ExitCode {
    // Whoever builds a TLS configuration without naming a provider gets this one. It cannot have been set before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Reads FAILPOINTS, and holds what it says until the end.
    #[cfg(feature = "failpoints")]
    let _faults = fail::FailScenario::setup();
    latchkey::cli::run()
}

//! The binary: it sets up the process, then runs the command line.

fn main() -> std::process::ExitCode {
    // The provider of every TLS configuration that names none. It cannot have been set before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Reads FAILPOINTS, and keeps its settings until the process ends.
    #[cfg(feature = "failpoints")]
    let _faults = fail::FailScenario::setup();
    latchkey::cli::run()
}
